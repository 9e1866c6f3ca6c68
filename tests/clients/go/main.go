// Programs of client-go and controller-runtime, as they come, against the cluster of $KUBECONFIG:
//
//	clients informers|election|manager
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

var programs = map[string]func(context.Context, *rest.Config) error{
	"informers": informers,
	"election":  election,
	"manager":   manager,
}

func main() {
	if len(os.Args) != 2 || programs[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "clients informers|election|manager")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err == nil {
		err = programs[os.Args[1]](ctx, config)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "failed:", err)
		os.Exit(1)
	}
	fmt.Println("all checks passed")
}

// check names what holds, or ends the program by an error that names what does not.
func check(holds bool, what string, details ...any) error {
	if !holds {
		return fmt.Errorf("%s %v", what, details)
	}
	fmt.Println("ok:", what)
	return nil
}

// until waits for something to become true.
func until(ctx context.Context, what string, holds func(context.Context) (bool, error)) error {
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, holds)
	if err != nil {
		return fmt.Errorf("waited in vain: %s: %w", what, err)
	}
	fmt.Println("ok:", what)
	return nil
}

// namespace makes a namespace of this name unless it is there.
func namespace(ctx context.Context, client kubernetes.Interface, name string) error {
	wanted := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err := client.CoreV1().Namespaces().Create(ctx, wanted, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}
