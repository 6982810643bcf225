// Command pulumi-resource-kubernetes is Pulumi's own Kubernetes plug-in: its published module has all of it but the
// schema that its main package embeds.
package main

import (
	"encoding/json"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider"
	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version"
)

const name = "kubernetes"

func main() {
	// Of the schema, what is read by others than `pulumi import` and `pulumi package get-schema`.
	schema, err := json.Marshal(map[string]string{"name": name, "version": version.Version})
	if err != nil {
		panic(err)
	}
	provider.Serve(name, version.Version, schema, nil)
}
