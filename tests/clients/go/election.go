package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/record"
)

const parliament = "clients-election"

// election lets two candidates stand for one Lease; the second leads when the first has gone.
func election(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if err := namespace(ctx, client, parliament); err != nil {
		return err
	}
	leads := make(chan string, 10)
	stand := func(ctx context.Context, name string, events record.EventRecorder) (context.CancelFunc, chan struct{}) {
		lock := &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: parliament, Name: "seat"},
			Client:     client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: name, EventRecorder: events},
		}
		ctx, resign := context.WithCancel(ctx)
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
				Lock:            lock,
				LeaseDuration:   15 * time.Second,
				RenewDeadline:   10 * time.Second,
				RetryPeriod:     time.Second,
				ReleaseOnCancel: true,
				Callbacks: leaderelection.LeaderCallbacks{
					OnStartedLeading: func(context.Context) { leads <- name },
					OnStoppedLeading: func() {},
				},
			})
		}()
		return resign, gone
	}

	broadcaster := record.NewBroadcaster()
	defer broadcaster.Shutdown()
	recorder := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "parliament"})
	broadcaster.StartRecordingToSink(&typed.EventSinkImpl{Interface: client.CoreV1().Events("")})

	resign, gone := stand(ctx, "first", recorder)
	if err := check(<-leads == "first", "the only candidate leads"); err != nil {
		return err
	}
	last, lastGone := stand(ctx, "second", recorder)
	defer func() { last(); <-lastGone }()
	leases := client.CoordinationV1().Leases(parliament)
	err = until(ctx, "the leader renews its Lease", func(ctx context.Context) (bool, error) {
		lease, err := leases.Get(ctx, "seat", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		return lease.Spec.RenewTime.After(lease.Spec.AcquireTime.Time), nil
	})
	if err != nil {
		return err
	}
	if err := check(len(leads) == 0, "the second candidate waits"); err != nil {
		return err
	}
	resign()
	<-gone
	select {
	case name := <-leads:
		if err := check(name == "second", "the second leads when the first has gone", name); err != nil {
			return err
		}
	case <-ctx.Done():
		return fmt.Errorf("nobody leads: %w", ctx.Err())
	}
	lease, err := leases.Get(ctx, "seat", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if err := check(*lease.Spec.HolderIdentity == "second" && *lease.Spec.LeaseTransitions == 1,
		"the Lease names the leader and counts changes", lease.Spec); err != nil {
		return err
	}
	err = until(ctx, "events tell who became leader", func(ctx context.Context) (bool, error) {
		list, err := client.CoreV1().Events(parliament).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=seat,reason=LeaderElection"})
		return err == nil && len(list.Items) >= 2, err
	})
	if err != nil {
		return err
	}
	return client.CoreV1().Namespaces().Delete(ctx, parliament, metav1.DeleteOptions{})
}
