package storage

import (
	"context"
	"fmt"
	"net/http"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"

	"visnyk.dev/cluster/internal/layout"
)

// Name is what the storage class calls this provisioner.
const Name = "cluster.visnyk.dev/disk"

// HealthAddress answers 200 while the provisioner runs.
const HealthAddress = "127.0.0.1:8182"

// Run provisions and removes volumes until it fails.
func Run(ctx context.Context, c layout.Cluster) error {
	config, err := clientcmd.BuildConfigFromFlags("", c.Path("conf", "storage.kubeconfig"))
	if err != nil {
		return fmt.Errorf("read the provisioner's kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() {
		healthy := func(http.ResponseWriter, *http.Request) {}
		failed <- http.ListenAndServe(HealthAddress, http.HandlerFunc(healthy))
	}()
	go controller.NewProvisionController(ctx, client, Name, provisioner{NewDisks(c)},
		controller.LeaderElection(false)).Run(ctx)
	return <-failed
}

type provisioner struct{ disks Disks }

// Provision implements controller.Provisioner.
func (p provisioner) Provision(_ context.Context, wanted controller.ProvisionOptions) (*core.PersistentVolume, controller.ProvisioningState, error) {
	for _, mode := range wanted.PVC.Spec.AccessModes {
		if mode != core.ReadWriteOnce && mode != core.ReadWriteOncePod {
			return nil, controller.ProvisioningFinished, fmt.Errorf("access mode %s: a disk is for one node only", mode)
		}
	}
	size := wanted.PVC.Spec.Resources.Requests[core.ResourceStorage]
	if err := p.disks.Create(wanted.PVName, size.Value()); err != nil {
		return nil, controller.ProvisioningFinished, fmt.Errorf("create volume %s: %w", wanted.PVName, err)
	}
	onNode := core.NodeSelectorRequirement{
		Key: core.LabelHostname, Operator: core.NodeSelectorOpIn, Values: []string{layout.NodeName},
	}
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: wanted.PVName},
		Spec: core.PersistentVolumeSpec{
			Capacity:                      core.ResourceList{core.ResourceStorage: size},
			AccessModes:                   wanted.PVC.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: *wanted.StorageClass.ReclaimPolicy,
			PersistentVolumeSource: core.PersistentVolumeSource{
				Local: &core.LocalVolumeSource{Path: mountPoint(wanted.PVName)},
			},
			NodeAffinity: &core.VolumeNodeAffinity{Required: &core.NodeSelector{
				NodeSelectorTerms: []core.NodeSelectorTerm{{MatchExpressions: []core.NodeSelectorRequirement{onNode}}},
			}},
		},
	}, controller.ProvisioningFinished, nil
}

// Delete implements controller.Provisioner.
func (p provisioner) Delete(_ context.Context, volume *core.PersistentVolume) error {
	return p.disks.Remove(volume.Name)
}
