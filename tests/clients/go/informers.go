package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	kubeinformers "k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

const flock = "clients-informers"

// requests counts how informers ask for what there is.
type requests struct {
	next http.RoundTripper
	lock sync.Mutex
	// By a stream that begins with what there is, and by pages.
	streams, pages int
}

func (r *requests) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.next.RoundTrip(request)
	query := request.URL.Query()
	r.lock.Lock()
	defer r.lock.Unlock()
	switch {
	case err != nil || response.StatusCode != http.StatusOK || request.Method != http.MethodGet:
	case query.Get("sendInitialEvents") == "true":
		r.streams++
	case query.Get("watch") == "":
		r.pages++
	}
	return response, err
}

// informers keeps two kinds in caches, and sees what happens to them.
func informers(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if err := namespace(ctx, client, flock); err != nil {
		return err
	}
	maps := client.CoreV1().ConfigMaps(flock)
	for number := range 30 {
		made := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{
				Name:   fmt.Sprintf("sheep-%02d", number),
				Labels: map[string]string{"colour": []string{"white", "black"}[number%2]},
			},
			Data: map[string]string{"number": fmt.Sprint(number)},
		}
		if _, err := maps.Create(ctx, made, metav1.CreateOptions{}); err != nil {
			return err
		}
	}

	counted := &requests{}
	watching := rest.CopyConfig(config)
	watching.Wrap(func(next http.RoundTripper) http.RoundTripper {
		counted.next = next
		return counted
	})
	watcher, err := kubernetes.NewForConfig(watching)
	if err != nil {
		return err
	}
	factory := kubeinformers.NewSharedInformerFactoryWithOptions(watcher, 0, kubeinformers.WithNamespace(flock))
	kept := factory.Core().V1().ConfigMaps()
	var lock sync.Mutex
	seen := map[string]int{}
	note := func(word string) {
		lock.Lock()
		defer lock.Unlock()
		seen[word]++
	}
	_, err = kept.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { note("added") },
		UpdateFunc: func(before, after any) {
			if before.(*corev1.ConfigMap).ResourceVersion != after.(*corev1.ConfigMap).ResourceVersion {
				note("updated")
			}
		},
		DeleteFunc: func(any) { note("deleted") },
	})
	if err != nil {
		return err
	}
	pods := factory.Core().V1().Pods().Informer()
	informing, stop := context.WithCancel(ctx)
	defer factory.Shutdown()
	defer stop()
	factory.Start(informing.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if err := check(synced, fmt.Sprintf("the cache of %v is in step", kind)); err != nil {
			return err
		}
	}
	counted.lock.Lock()
	streams, pages := counted.streams, counted.pages
	counted.lock.Unlock()
	if err := check(streams == 2 && pages == 0, "informers list by streams", streams, pages); err != nil {
		return err
	}
	black, err := kept.Lister().ConfigMaps(flock).List(labels.SelectorFromSet(labels.Set{"colour": "black"}))
	if err != nil {
		return err
	}
	if err := check(len(black) == 15, "the lister selects by labels", len(black)); err != nil {
		return err
	}
	if err := check(len(pods.GetStore().List()) == 0, "an empty kind is in step too"); err != nil {
		return err
	}

	_, err = maps.Patch(ctx, "sheep-00", "application/merge-patch+json", []byte(`{"data":{"number":"x"}}`), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	if err := maps.Delete(ctx, "sheep-01", metav1.DeleteOptions{}); err != nil {
		return err
	}
	everything := metav1.ListOptions{LabelSelector: "colour=black"}
	if err := maps.DeleteCollection(ctx, metav1.DeleteOptions{}, everything); err != nil {
		return err
	}
	err = until(ctx, "handlers saw every change", func(context.Context) (bool, error) {
		lock.Lock()
		defer lock.Unlock()
		// kube-root-ca.crt may come before or after.
		return seen["added"] >= 30 && seen["updated"] >= 1 && seen["deleted"] == 15, nil
	})
	if err != nil {
		return err
	}

	page, err := maps.List(ctx, metav1.ListOptions{LabelSelector: "colour", Limit: 4})
	if err != nil {
		return err
	}
	total := len(page.Items)
	for page.Continue != "" {
		page, err = maps.List(ctx, metav1.ListOptions{LabelSelector: "colour", Limit: 4, Continue: page.Continue})
		if err != nil {
			return err
		}
		total += len(page.Items)
	}
	if err := check(total == 15, "pages hold everything once", total); err != nil {
		return err
	}
	return client.CoreV1().Namespaces().Delete(ctx, flock, metav1.DeleteOptions{})
}
