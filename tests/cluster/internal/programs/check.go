package programs

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"visnyk.dev/cluster/internal/layout"
	"visnyk.dev/cluster/internal/pki"
)

const checkTimeout = 2 * time.Second

// answers is ready when the address answers 200.
func answers(url string) Check {
	// The programs' own health ports have self-signed certificates; what is
	// asked here is whether they are alive, not who they are.
	client := &http.Client{
		Timeout:   checkTimeout,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	}
	return func(ctx context.Context) error { return get(ctx, client, url, nil) }
}

// listens is ready when something accepts connections on the Unix socket.
func listens(socket string) Check {
	return func(ctx context.Context) error {
		connection, err := (&net.Dialer{Timeout: checkTimeout}).DialContext(ctx, "unix", socket)
		if err != nil {
			return err
		}
		return connection.Close()
	}
}

// apiClient asks the API server as the administrator.
type apiClient struct{ client *http.Client }

func newAPI(c layout.Cluster) (apiClient, error) {
	config, err := pki.ClientConfig(c)
	if err != nil {
		return apiClient{}, err
	}
	return apiClient{&http.Client{Timeout: checkTimeout, Transport: &http.Transport{TLSClientConfig: config}}}, nil
}

// answers is ready when the API server answers that path with 200.
func (a apiClient) answers(path string) Check {
	return func(ctx context.Context) error { return get(ctx, a.client, layout.APIServer+path, nil) }
}

// condition is ready when the object at that path has the condition.
func (a apiClient) condition(path, kind string) Check {
	return func(ctx context.Context) error {
		var object struct {
			Status struct {
				Conditions []struct{ Type, Status string }
			}
		}
		if err := get(ctx, a.client, layout.APIServer+path, &object); err != nil {
			return err
		}
		for _, condition := range object.Status.Conditions {
			if condition.Type == kind && condition.Status == "True" {
				return nil
			}
		}
		return fmt.Errorf("%s is not %s", path, kind)
	}
}

// every is ready when all checks are.
func every(checks ...Check) Check {
	return func(ctx context.Context) error {
		for _, check := range checks {
			if err := check(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}

func get(ctx context.Context, client *http.Client, url string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, answer.Status)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}
