// Opentelemetry sends two requests through the extension oauth2client of the OpenTelemetry Collector, and prints the answers. It
// is a module of its own, because the Collector and OPA need different versions of one module.
//
//	go run . -client ID -token-url URL [-expiry-buffer DURATION] URL <secret
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/oauth2clientauthextension"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensionauth"
	"go.uber.org/zap"
)

func main() {
	log.SetFlags(0)
	factory := oauth2clientauthextension.NewFactory()
	config := factory.CreateDefaultConfig().(*oauth2clientauthextension.Config)
	flag.StringVar(&config.ClientID, "client", "", "client ID")
	flag.StringVar(&config.TokenURL, "token-url", "", "URL of the token endpoint")
	flag.DurationVar(&config.ExpiryBuffer, "expiry-buffer", 5*time.Minute, "how long before its end a token is not used any more")
	flag.Parse()
	secret, err := io.ReadAll(os.Stdin)
	check(err)
	config.ClientSecret = configopaque.String(secret)

	settings := extension.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: component.TelemetrySettings{Logger: zap.NewNop()}}
	made, err := factory.Create(context.Background(), settings, config)
	check(err)
	transport, err := made.(extensionauth.HTTPClient).RoundTripper(http.DefaultTransport)
	check(err)
	for range 2 {
		response, err := (&http.Client{Transport: transport}).Get(flag.Arg(0))
		check(err)
		body, err := io.ReadAll(response.Body)
		check(err)
		if response.StatusCode != http.StatusOK {
			log.Fatalf("%s %s", response.Status, body)
		}
		fmt.Println(string(body))
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
