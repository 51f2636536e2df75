package caddymodule

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
	"github.com/caddy-m2m/caddy-m2m/internal/logmask"
)

// addLogFields adds fields to the request's access log line.
func addLogFields(r *http.Request, fields ...zap.Field) {
	if server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok && server.Logs == nil {
		return // there is no access log
	}
	fields = logmask.Fields(fields)
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

// accessLogs replaces Caddy's log lines of a request that contains a credential. Caddy logs the request as the client sent
// it, with its URI and all headers but four, and a handler cannot change that line. So the plugin makes Caddy skip the
// line, and writes a masked one.
type accessLogs struct{ access, errors *zap.Logger }

// httpApp gives the masked lines the logger names of Caddy's HTTP app, so that a log that includes or excludes these
// names treats both alike.
type httpApp struct{}

func (httpApp) CaddyModule() caddy.ModuleInfo { return caddy.ModuleInfo{ID: "http"} }

func newAccessLogs(ctx caddy.Context) accessLogs {
	logger := logmask.Logger(ctx.Logger(httpApp{})).Named("log")
	return accessLogs{access: logger.Named("access"), errors: logger.Named("error")}
}

// maskedLine is the line that replaces Caddy's.
type maskedLine struct {
	request *http.Request // as the client sent it, masked
	masked  []string      // JSON pointers to what is masked
	fields  []zap.Field   // added by handlers of the plugin
	skipped bool          // another handler excludes the request from the access log
}

// maskedLineVar names the variable of a request that holds its maskedLine.
const maskedLineVar = "m2m.masked_line"

func maskedLineOf(r *http.Request) *maskedLine {
	line, _ := caddyhttp.GetVar(r.Context(), maskedLineVar).(*maskedLine)
	return line
}

// serve calls a handler of the plugin, and replaces Caddy's log lines if they would contain a credential of the request.
// It returns the error that Caddy still has to answer.
func (l accessLogs) serve(w http.ResponseWriter, r *http.Request, handle func(http.ResponseWriter, *http.Request) error) (err error) {
	if maskedLineOf(r) != nil {
		return handle(w, r) // another handler of the plugin writes the line
	}
	if line := maskRequest(r); line != nil {
		line.put(r)
	}
	start := time.Now()
	defer func() { // also if the handler panics, as reverse_proxy does when a response is cut off
		if line := maskedLineOf(r); line != nil {
			err = l.write(w, r, line, time.Since(start), err)
		}
	}()
	return handle(w, r)
}

// put makes this line replace Caddy's.
func (line *maskedLine) put(r *http.Request) {
	line.skipped, _ = caddyhttp.GetVar(r.Context(), caddyhttp.LogSkipVar).(bool)
	caddyhttp.SetVar(r.Context(), maskedLineVar, line)
	caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
}

// maskUser replaces Caddy's line if the user's ID, which Caddy logs, contains a credential.
func maskUser(r *http.Request, id string) {
	if maskedLineOf(r) != nil || !credential.Contains(id) {
		return
	}
	line := maskRequest(r)
	if line == nil {
		line = &maskedLine{request: original(r)}
		line.request.Header = r.Header.Clone() // handlers change the header
	}
	line.put(r)
}

// maskRequest returns the line that replaces Caddy's, or nil if Caddy's contains no credential of the request.
func maskRequest(r *http.Request) *maskedLine {
	var line maskedLine // most requests need none
	uri := line.text("/request/uri", originalURI(r))
	host := line.text("/request/host", r.Host)
	header := line.header("/request/headers", r.Header)
	serverName := r.TLS != nil && credential.Contains(r.TLS.ServerName) // the logger masks it
	if len(line.masked) == 0 && !serverName {
		return nil
	}
	if header == nil {
		header = r.Header.Clone() // handlers change the header
	}
	shown := &maskedLine{request: original(r), masked: line.masked}
	shown.request.RequestURI, shown.request.Host, shown.request.Header = uri, host, header
	return shown
}

// originalURI returns the URI that the client sent.
func originalURI(r *http.Request) string {
	if came, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		return came.RequestURI
	}
	return r.RequestURI
}

// original returns a copy of a request as the client sent it. Other handlers may have rewritten r since.
func original(r *http.Request) *http.Request {
	shown := new(http.Request)
	*shown = *r
	if came, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		shown.Method, shown.RemoteAddr, shown.RequestURI = came.Method, came.RemoteAddr, came.RequestURI
	}
	return shown
}

// text returns the masked text, and records the pointer if something was masked.
func (line *maskedLine) text(pointer, text string) string {
	shown := credential.MaskURI(text)
	if shown != text {
		line.masked = append(line.masked, pointer)
	}
	return shown
}

// redactedByCaddy are the headers whose values Caddy hides, unless the server has log_credentials.
var redactedByCaddy = []string{"Authorization", "Cookie", "Proxy-Authorization", "Set-Cookie"}

// header returns a masked copy of a header, or nil if there is nothing to mask.
func (line *maskedLine) header(pointer string, header http.Header) http.Header {
	masked, pointers := logmask.Header(header, redactedByCaddy)
	for _, at := range pointers {
		line.masked = append(line.masked, pointer+at)
	}
	return masked
}
