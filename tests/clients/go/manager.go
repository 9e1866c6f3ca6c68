package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	applymetav1 "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"
)

const (
	kitchen   = "clients-manager"
	owner     = client.FieldOwner("kettle-controller")
	finalizer = "go.clients.test/pour"
)

// reconciler keeps a ConfigMap for each Kettle, applied by the server, and says so in its status.
type reconciler struct {
	client.Client
	poured chan string
}

func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	kettle := &Kettle{}
	if err := r.Get(ctx, request.NamespacedName, kettle); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !kettle.DeletionTimestamp.IsZero() {
		if controllerutil.RemoveFinalizer(kettle, finalizer) {
			if err := r.Update(ctx, kettle); err != nil {
				return ctrl.Result{}, err
			}
			r.poured <- kettle.Name
		}
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(kettle, finalizer) {
		if err := r.Update(ctx, kettle); err != nil {
			return ctrl.Result{}, err
		}
	}
	water := applycorev1.ConfigMap(kettle.Name, kettle.Namespace).
		WithData(map[string]string{"litres": strconv.Itoa(kettle.Spec.Litres)}).
		WithOwnerReferences(applymetav1.OwnerReference().
			WithAPIVersion(kettles.String()).WithKind("Kettle").
			WithName(kettle.Name).WithUID(kettle.UID).
			WithController(true).WithBlockOwnerDeletion(true))
	if err := r.Apply(ctx, water, owner, client.ForceOwnership); err != nil {
		return ctrl.Result{}, err
	}
	kettle.Status.Litres = kettle.Spec.Litres
	meta.SetStatusCondition(&kettle.Status.Conditions, metav1.Condition{
		Type: "Boiled", Status: metav1.ConditionTrue, Reason: "Hot", ObservedGeneration: kettle.Generation,
	})
	return ctrl.Result{}, r.Status().Update(ctx, kettle)
}

// manager runs the reconciler, and does to Kettles what users do.
func manager(ctx context.Context, config *rest.Config) error {
	ctrl.SetLogger(logr.Discard())
	types := runtime.NewScheme()
	if err := scheme.AddToScheme(types); err != nil {
		return err
	}
	if err := addKettles(types); err != nil {
		return err
	}
	user, err := client.New(config, client.Options{Scheme: types})
	if err != nil {
		return err
	}
	if err := prepare(ctx, config, user); err != nil {
		return err
	}
	running, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        types,
		Metrics:                       server.Options{BindAddress: "0"},
		LeaderElection:                true,
		LeaderElectionID:              "kettle-controller",
		LeaderElectionNamespace:       kitchen,
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return err
	}
	poured := make(chan string, 10)
	err = ctrl.NewControllerManagedBy(running).For(&Kettle{}).Owns(&corev1.ConfigMap{}).
		Complete(&reconciler{running.GetClient(), poured})
	if err != nil {
		return err
	}
	managing, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- running.Start(managing) }()
	err = use(ctx, user, poured)
	stop()
	if failed := <-ended; err == nil {
		err = failed
	}
	if err != nil {
		return err
	}
	return tidy(ctx, user)
}

// prepare makes the kind and the namespace, and waits until the kind is served.
func prepare(ctx context.Context, config *rest.Config, user client.Client) error {
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if err := namespace(ctx, clientset, kitchen); err != nil {
		return err
	}
	definition := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(kettleCRD), definition); err != nil {
		return err
	}
	if err := user.Apply(ctx, client.ApplyConfigurationFromUnstructured(definition), owner); err != nil {
		return err
	}
	return until(ctx, "the kind is served", func(ctx context.Context) (bool, error) {
		return user.List(ctx, &KettleList{}) == nil, nil
	})
}

// use does to a Kettle what users do, and looks whether the reconciler follows.
func use(ctx context.Context, user client.Client, poured chan string) error {
	kettle := &Kettle{ObjectMeta: metav1.ObjectMeta{Namespace: kitchen, Name: "tea"}, Spec: KettleSpec{Litres: 2}}
	if err := user.Create(ctx, kettle); err != nil {
		return err
	}
	key := client.ObjectKeyFromObject(kettle)
	water := &corev1.ConfigMap{}
	boiled := func(litres int) func(context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			if err := user.Get(ctx, key, kettle); err != nil {
				return false, err
			}
			if kettle.Status.Litres != litres {
				return false, nil
			}
			err := user.Get(ctx, key, water)
			return water.Data["litres"] == fmt.Sprint(litres), client.IgnoreNotFound(err)
		}
	}
	if err := until(ctx, "a new object is reconciled", boiled(2)); err != nil {
		return err
	}
	condition := meta.FindStatusCondition(kettle.Status.Conditions, "Boiled")
	if err := check(condition != nil && condition.ObservedGeneration == kettle.Generation, "its status has a condition"); err != nil {
		return err
	}
	if err := check(metav1.IsControlledBy(water, kettle), "what it made has it as its owner"); err != nil {
		return err
	}
	manager := water.ManagedFields[0]
	if err := check(manager.Manager == string(owner) && manager.Operation == metav1.ManagedFieldsOperationApply,
		"what it made is managed by who applied it", manager); err != nil {
		return err
	}

	before := kettle.DeepCopyObject().(*Kettle)
	kettle.Spec.Litres = 5
	if err := user.Patch(ctx, kettle, client.MergeFrom(before)); err != nil {
		return err
	}
	if err := until(ctx, "a changed object is reconciled", boiled(5)); err != nil {
		return err
	}
	if err := check(kettle.Generation == before.Generation+1, "only its spec counts as a generation", kettle.Generation); err != nil {
		return err
	}
	stale := before
	stale.Spec.Litres = 9
	err := user.Update(ctx, stale)
	if err := check(apierrors.IsConflict(err), "an update of an old version is a conflict", err); err != nil {
		return err
	}
	bad := &Kettle{ObjectMeta: metav1.ObjectMeta{Namespace: kitchen, Name: "dry"}}
	err = user.Create(ctx, bad)
	if err := check(apierrors.IsInvalid(err), "what the schema forbids is invalid", err); err != nil {
		return err
	}
	first := water.UID
	if err := user.Delete(ctx, water); err != nil {
		return err
	}
	err = until(ctx, "what was taken from it is made again", func(ctx context.Context) (bool, error) {
		err := user.Get(ctx, key, water)
		return err == nil && water.UID != first, client.IgnoreNotFound(err)
	})
	if err != nil {
		return err
	}

	if err := user.Delete(ctx, kettle); err != nil {
		return err
	}
	select {
	case name := <-poured:
		if err := check(name == "tea", "its finalizer is run"); err != nil {
			return err
		}
	case <-ctx.Done():
		return fmt.Errorf("the finalizer was not run: %w", ctx.Err())
	}
	return until(ctx, "it is gone", func(ctx context.Context) (bool, error) {
		err := user.Get(ctx, key, kettle)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
}

// tidy removes the kind and the namespace.
func tidy(ctx context.Context, user client.Client) error {
	definition := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(kettleCRD), definition); err != nil {
		return err
	}
	if err := user.Delete(ctx, definition); err != nil {
		return err
	}
	return user.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: kitchen}})
}
