// Package definitions looks at Visnyk's custom resource definitions as an API server does when they are applied.
package definitions

import (
	"os"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apimachinery/pkg/runtime"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"sigs.k8s.io/yaml"
)

// An API server refuses a definition whose rules could cost more than its limits, for the largest resource that the
// schema allows. Versions estimate differently: a definition that is near to a limit could be refused by the next one.
const margin = 5

func TestRulesStayFarFromWhatAnAPIServerRefuses(t *testing.T) {
	for _, file := range []string{"../../../crds/webhookrelays.yaml", "../../../crds/collectors.yaml"} {
		total, dearest := costs(t, schemaOf(t, file))
		t.Logf("%s: %d in all, the dearest rule %d", file, total, dearest)
		if total == 0 {
			t.Errorf("%s: no rule was found", file)
		}
		if total > validation.StaticEstimatedCRDCostLimit/margin {
			t.Errorf("%s: all rules cost %d of %d", file, total, uint64(validation.StaticEstimatedCRDCostLimit))
		}
		if dearest > validation.StaticEstimatedCostLimit/margin {
			t.Errorf("%s: a rule costs %d of %d", file, dearest, uint64(validation.StaticEstimatedCostLimit))
		}
	}
}

func schemaOf(t *testing.T, file string) *apiextensions.JSONSchemaProps {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var definition v1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(text, &definition); err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	install.Install(scheme)
	var schema apiextensions.JSONSchemaProps
	if err := scheme.Convert(definition.Spec.Versions[0].Schema.OpenAPIV3Schema, &schema, nil); err != nil {
		t.Fatal(err)
	}
	return &schema
}

// What all rules could cost together, and the dearest of them.
func costs(t *testing.T, root *apiextensions.JSONSchemaProps) (total, dearest uint64) {
	t.Helper()
	rules := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion())
	var visit func(schema *apiextensions.JSONSchemaProps, context *validation.CELSchemaContext)
	visit = func(schema *apiextensions.JSONSchemaProps, context *validation.CELSchemaContext) {
		info, err := context.TypeInfo()
		if err != nil {
			t.Fatal(err)
		}
		if info != nil {
			compiled, err := cel.Compile(
				info.Schema, info.DeclType, celconfig.PerCallLimit, rules, cel.NewExpressionsEnvLoader())
			if err != nil {
				t.Fatal(err)
			}
			for _, rule := range compiled {
				if rule.Error != nil || context.MaxCardinality == nil {
					t.Fatalf("rule of %q: %v, bounded: %v", schema.Description, rule.Error, context.MaxCardinality != nil)
				}
				cost := rule.MaxCost * *context.MaxCardinality
				total += cost
				dearest = max(dearest, cost)
			}
		}
		for name, property := range schema.Properties {
			visit(&property, context.ChildPropertyContext(&property, name))
		}
		if schema.Items != nil {
			visit(schema.Items.Schema, context.ChildItemsContext(schema.Items.Schema))
		}
		if schema.AdditionalProperties != nil && schema.AdditionalProperties.Schema != nil {
			each := schema.AdditionalProperties.Schema
			visit(each, context.ChildAdditionalPropertiesContext(each))
		}
	}
	visit(root, validation.RootCELContext(root))
	return total, dearest
}
