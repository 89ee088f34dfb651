package storage

import (
	"context"
	"fmt"
	"log"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// expander grows a volume whose claim asks for more, while pods use it. What
// Kubernetes leaves to a "resizer" is done here in one go: the disk, the file
// system on it, the volume's capacity, then the claim's.
type expander struct {
	client kubernetes.Interface
	disks  Disks
}

func (e expander) run(ctx context.Context) {
	factory := informers.NewSharedInformerFactory(e.client, 0)
	claims := factory.Core().V1().PersistentVolumeClaims().Informer()
	seen := func(object any) {
		claim := object.(*core.PersistentVolumeClaim)
		if err := e.expand(ctx, claim); err != nil {
			log.Printf("grow claim %s/%s: %v", claim.Namespace, claim.Name, err)
		}
	}
	_, err := claims.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    seen,
		UpdateFunc: func(_, object any) { seen(object) },
	})
	if err != nil {
		log.Fatalf("watch claims: %v", err)
	}
	factory.Start(ctx.Done())
	<-ctx.Done()
}

func (e expander) expand(ctx context.Context, claim *core.PersistentVolumeClaim) error {
	wanted := claim.Spec.Resources.Requests[core.ResourceStorage]
	has := claim.Status.Capacity[core.ResourceStorage]
	if claim.Status.Phase != core.ClaimBound || wanted.Cmp(has) <= 0 {
		return nil
	}
	volume, err := e.client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, meta.GetOptions{})
	if err != nil {
		return fmt.Errorf("read volume %s: %w", claim.Spec.VolumeName, err)
	}
	if volume.Annotations["pv.kubernetes.io/provisioned-by"] != Name {
		return nil
	}
	if err := e.disks.Grow(volume.Name, wanted.Value()); err != nil {
		return err
	}
	patch := fmt.Appendf(nil, `{"spec":{"capacity":{"storage":%q}}}`, wanted.String())
	if _, err := e.client.CoreV1().PersistentVolumes().Patch(ctx, volume.Name, types.MergePatchType, patch, meta.PatchOptions{}); err != nil {
		return fmt.Errorf("report the capacity of volume %s: %w", volume.Name, err)
	}
	patch = fmt.Appendf(nil, `{"status":{"capacity":{"storage":%q}}}`, wanted.String())
	if _, err := e.client.CoreV1().PersistentVolumeClaims(claim.Namespace).Patch(ctx, claim.Name, types.MergePatchType, patch, meta.PatchOptions{}, "status"); err != nil {
		return fmt.Errorf("report the capacity of the claim: %w", err)
	}
	return nil
}
