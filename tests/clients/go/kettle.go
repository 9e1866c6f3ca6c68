package main

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// kettles are a kind of this program's own.
var kettles = schema.GroupVersion{Group: "go.clients.test", Version: "v1"}

// Kettle boils water, in a ConfigMap of its own.
type Kettle struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              KettleSpec   `json:"spec"`
	Status            KettleStatus `json:"status,omitempty"`
}

// KettleSpec is what is wanted.
type KettleSpec struct {
	Litres int `json:"litres"`
}

// KettleStatus is how far it is.
type KettleStatus struct {
	Litres     int                `json:"litres,omitempty"`
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// DeepCopyObject is what runtime.Object asks for.
func (k *Kettle) DeepCopyObject() runtime.Object {
	copied := *k
	k.ObjectMeta.DeepCopyInto(&copied.ObjectMeta)
	copied.Status.Conditions = append([]metav1.Condition(nil), k.Status.Conditions...)
	return &copied
}

// KettleList is a list of them.
type KettleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Kettle `json:"items"`
}

// DeepCopyObject is what runtime.Object asks for.
func (l *KettleList) DeepCopyObject() runtime.Object {
	copied := *l
	copied.Items = nil
	for index := range l.Items {
		copied.Items = append(copied.Items, *l.Items[index].DeepCopyObject().(*Kettle))
	}
	return &copied
}

func addKettles(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(kettles, &Kettle{}, &KettleList{})
	metav1.AddToGroupVersion(scheme, kettles)
	return nil
}

const kettleCRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: kettles.go.clients.test
spec:
  group: go.clients.test
  scope: Namespaced
  names: {kind: Kettle, plural: kettles, singular: kettle, listKind: KettleList}
  versions:
    - name: v1
      served: true
      storage: true
      subresources: {status: {}}
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              required: [litres]
              properties:
                litres: {type: integer, minimum: 1}
            status:
              type: object
              properties:
                litres: {type: integer}
                conditions:
                  type: array
                  x-kubernetes-list-type: map
                  x-kubernetes-list-map-keys: [type]
                  items:
                    type: object
                    required: [type, status]
                    properties:
                      type: {type: string}
                      status: {type: string}
                      reason: {type: string}
                      message: {type: string}
                      observedGeneration: {type: integer, format: int64}
                      lastTransitionTime: {type: string, format: date-time}
`
