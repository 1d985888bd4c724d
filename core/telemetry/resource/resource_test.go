package resource_test

import (
	"maps"
	"testing"

	"github.com/claudemesh/broker/core/telemetry/resource"
)

func TestOf(t *testing.T) {
	tests := []struct {
		name, service, attributes string
		want                      map[string]string
		wantErr                   bool
	}{
		{"the config", "", "", map[string]string{
			"service.name": "broker", "service.version": "1.2.3", "service.instance.id": "i", "deployment.environment.name": "",
		}, false},
		{"the name of the environment wins", "mine", "service.name=theirs,service.version=9", map[string]string{
			"service.name": "mine", "service.version": "9", "service.instance.id": "i",
		}, false},
		{"attributes are added", "", "deployment.environment.name=test", map[string]string{
			"service.name": "broker", "deployment.environment.name": "test", "telemetry.sdk.language": "go", "process.runtime.name": "go",
		}, false},
		{"a mistake is told, and costs nothing else", "", "nonsense,a=b", map[string]string{
			"service.name": "broker", "service.version": "1.2.3", "a": "b",
		}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("OTEL_SERVICE_NAME", tt.service)
			t.Setenv("OTEL_RESOURCE_ATTRIBUTES", tt.attributes)
			r, err := resource.Of(t.Context(), "broker", "1.2.3", "i")
			if (err != nil) != tt.wantErr {
				t.Fatalf("the error is %v, want one: %v", err, tt.wantErr)
			}
			got := map[string]string{}
			for _, a := range r.Attributes() {
				got[string(a.Key)] = a.Value.String()
			}
			for name, want := range tt.want {
				if got[name] != want {
					t.Errorf("%s is %q, want %q", name, got[name], want)
				}
			}
			for _, secret := range []string{"process.command_args", "process.executable.path", "process.owner"} {
				if _, is := got[secret]; is {
					t.Errorf("%s is told to strangers: %v", secret, maps.Keys(got))
				}
			}
		})
	}
}
