package caddymodule

import (
	"net/http"
	"net/textproto"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
)

// addLogFields adds fields to the request's access log line.
func addLogFields(r *http.Request, fields ...zap.Field) {
	fields = maskFields(fields)
	if line := maskedLineOf(r); line != nil {
		line.fields = append(line.fields, fields...)
	}
	extra, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields)
	if !ok {
		return
	}
	for _, field := range fields {
		extra.Set(field)
	}
}

// accessLogs writes what Caddy would write of a request whose line would show a credential: Caddy logs the request as
// it came, with its whole URI and all headers but four, and nothing can change that line. It is left out, and another
// one stands in its place.
type accessLogs struct{ access, errors *zap.Logger }

// httpApp has the loggers of Caddy's HTTP app: logs that include or exclude those find ours, too.
type httpApp struct{}

func (httpApp) CaddyModule() caddy.ModuleInfo { return caddy.ModuleInfo{ID: "http"} }

func newAccessLogs(ctx caddy.Context) accessLogs {
	logger := masking(ctx.Logger(httpApp{})).Named("log")
	return accessLogs{access: logger.Named("access"), errors: logger.Named("error")}
}

// maskedLine is what stands in the place of Caddy's line.
type maskedLine struct {
	request *http.Request // as it came, with masks
	masked  []string      // where, as in maskedField
	fields  []zap.Field   // that handlers of the plugin have added
	skipped bool          // there is no line in the access log anyway
}

// maskedLineVar is the variable of the request that has it.
const maskedLineVar = "m2m.masked_line"

func maskedLineOf(r *http.Request) *maskedLine {
	line, _ := caddyhttp.GetVar(r.Context(), maskedLineVar).(*maskedLine)
	return line
}

// serve has a handler of the plugin serve a request. Whatever the handler does, Caddy logs no credentials of it.
func (l accessLogs) serve(w http.ResponseWriter, r *http.Request, handle func(http.ResponseWriter, *http.Request) error) (err error) {
	if maskedLineOf(r) != nil {
		return handle(w, r) // another handler of the plugin writes the line
	}
	if line := maskRequest(r); line != nil {
		line.put(r)
	}
	start := time.Now()
	defer func() { // also if the handler panics, which is how a proxy ends a response that broke off
		if line := maskedLineOf(r); line != nil {
			err = l.write(w, r, line, time.Since(start), err)
		}
	}()
	return handle(w, r)
}

// put takes the place of Caddy's line.
func (line *maskedLine) put(r *http.Request) {
	line.skipped, _ = caddyhttp.GetVar(r.Context(), caddyhttp.LogSkipVar).(bool)
	caddyhttp.SetVar(r.Context(), maskedLineVar, line)
	caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
}

// maskUser takes the place of Caddy's line if the user's ID, which that line shows, holds a credential.
func maskUser(r *http.Request, id string) {
	if maskedLineOf(r) != nil || !credential.Contains(id) {
		return
	}
	line := maskRequest(r)
	if line == nil {
		line = &maskedLine{request: original(r)}
	}
	line.put(r)
}

// maskRequest is nil when Caddy's line would show no credential.
func maskRequest(r *http.Request) *maskedLine {
	line := new(maskedLine)
	uri := line.text("/request/uri", originalURI(r))
	host := line.text("/request/host", r.Host)
	header := line.header("/request/headers/", r.Header)
	serverName := r.TLS != nil && credential.Contains(r.TLS.ServerName) // the logger masks it
	if len(line.masked) == 0 && !serverName {
		return nil
	}
	if header == nil {
		header = r.Header.Clone() // handlers change it
	}
	line.request = original(r)
	line.request.RequestURI, line.request.Host, line.request.Header = uri, host, header
	return line
}

func originalURI(r *http.Request) string {
	if came, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return came.RequestURI
	}
	return r.RequestURI
}

// original is the request as it came, which others may have rewritten since.
func original(r *http.Request) *http.Request {
	shown := new(http.Request)
	*shown = *r
	if came, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		shown.Method, shown.RemoteAddr, shown.RequestURI = came.Method, came.RemoteAddr, came.RequestURI
	}
	return shown
}

func (line *maskedLine) text(pointer, text string) string {
	shown := credential.MaskURI(text)
	if shown != text {
		line.masked = append(line.masked, pointer)
	}
	return shown
}

// redactedByCaddy are headers of which Caddy shows nothing, unless its operator wants it to.
var redactedByCaddy = map[string]bool{"Authorization": true, "Cookie": true, "Proxy-Authorization": true, "Set-Cookie": true}

// header is a copy of a header with masks, or nil when there is nothing to mask.
func (line *maskedLine) header(pointer string, header http.Header) http.Header {
	var copied http.Header
	for name, values := range header {
		if redactedByCaddy[textproto.CanonicalMIMEHeaderKey(name)] {
			continue
		}
		for n, value := range values {
			shown := maskHeader(name, value)
			if shown == value && !credential.Contains(name) {
				continue
			}
			if copied == nil {
				copied = header.Clone()
			}
			copied[name][n] = shown
			line.masked = append(line.masked, pointer+credential.Mask(name)+"/"+strconv.Itoa(n))
		}
	}
	return copied
}

func maskHeader(name, value string) string {
	if value != "" && credential.IsName(name) {
		return credential.Secret
	}
	return credential.MaskURI(value)
}
