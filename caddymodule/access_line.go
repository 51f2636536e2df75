package caddymodule

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-m2m/caddy-m2m/internal/credential"
	"github.com/caddy-m2m/caddy-m2m/internal/logmask"
)

// write writes the lines that Caddy would have written to the access log and the error log. It returns the error that
// Caddy still has to answer.
func (l accessLogs) write(w http.ResponseWriter, r *http.Request, line *maskedLine, took time.Duration, err error) error {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return err
	}
	names := loggerNames(server.Logs, r)
	status := 0
	if err != nil {
		status = statusOf(err)
		l.writeError(server, line, names, took, err)
	}
	if !line.skipped && logsAccess(server.Logs, r.Host) {
		l.writeAccess(w, r, line, names, took, status)
	}
	switch {
	case err == nil:
		return nil
	case server.Logs != nil: // without names, Caddy writes no error line
		caddyhttp.SetVar(r.Context(), caddyhttp.AccessLoggerNameVarKey, []any{})
	case server.Errors == nil || len(server.Errors.Routes) == 0:
		w.WriteHeader(status) // like Caddy, but without its log line
		return nil
	}
	return err
}

// writeAccess writes the line of the access log. If the writer of another plugin hides the recorder of the response, the
// size is 0 and the status is that of the error, or 0: a credential must not keep a request out of the log.
func (l accessLogs) writeAccess(w http.ResponseWriter, r *http.Request, line *maskedLine, names []string, took time.Duration, status int) {
	size := 0
	if recorder := recorderOf(w); recorder != nil {
		size = recorder.Size()
		if recorder.Status() != 0 {
			status = recorder.Status()
		}
	}
	level := zapcore.InfoLevel
	if status >= http.StatusInternalServerError {
		level = zapcore.ErrorLevel
	}
	user := ""
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		user, _ = repl.GetString("http.auth.user.id")
	}
	header := line.header("/resp_headers", w.Header())
	if header == nil {
		header = w.Header()
	}
	fields := append([]zap.Field{
		line.loggable(r), zap.String("user_id", user), zap.Duration("duration", took), zap.Int("size", size), zap.Int("status", status),
		zap.Object("resp_headers", caddyhttp.LoggableHTTPHeader{Header: header, ShouldLogCredentials: showsCredentials(r)}),
	}, line.fields...)
	line.log(l.access, names, level, "handled request", fields)
}

// writeError writes the line of the error log, with the level that Caddy uses.
func (l accessLogs) writeError(server *caddyhttp.Server, line *maskedLine, names []string, took time.Duration, err error) {
	level, message := zapcore.DebugLevel, err.Error()
	handled := server.Errors != nil && len(server.Errors.Routes) > 0
	if !handled && statusOf(err) >= http.StatusInternalServerError {
		level = zapcore.ErrorLevel
	}
	fields := []zap.Field{line.loggable(line.request), zap.Duration("duration", took), zap.Int("status", statusOf(err))}
	var of caddyhttp.HandlerError
	if errors.As(err, &of) {
		if of.Err != nil {
			message = of.Err.Error()
		}
		fields = append(fields, zap.String("err_id", of.ID), zap.String("err_trace", of.Trace))
	}
	line.log(l.errors, names, level, credential.MaskURI(message), fields)
}

func (line *maskedLine) log(logger *zap.Logger, names []string, level zapcore.Level, message string, fields []zap.Field) {
	if len(line.masked) > 0 {
		fields = append(fields, zap.Strings(logmask.Key, line.masked))
	}
	for _, name := range names {
		if c := logger.Named(name).Check(level, message); c != nil {
			c.Write(fields...)
		}
	}
}

func (line *maskedLine) loggable(r *http.Request) zap.Field {
	return zap.Object("request", caddyhttp.LoggableHTTPRequest{Request: line.request, ShouldLogCredentials: showsCredentials(r)})
}

// showsCredentials reports whether the server has log_credentials: Authorization and Cookie are then logged.
func showsCredentials(r *http.Request) bool {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	return ok && server.Logs != nil && server.Logs.ShouldLogCredentials
}

func statusOf(err error) int {
	var of caddyhttp.HandlerError
	if errors.As(err, &of) && of.StatusCode != 0 {
		return of.StatusCode
	}
	return http.StatusInternalServerError
}

// recorderOf returns Caddy's own recorder of the response, below those of other handlers. It returns nil if the writer of
// a handler cannot be unwrapped.
func recorderOf(w http.ResponseWriter) (recorder caddyhttp.ResponseRecorder) {
	for {
		if one, ok := w.(caddyhttp.ResponseRecorder); ok {
			recorder = one
		}
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return recorder
		}
		w = wrapper.Unwrap()
	}
}

// loggerNames returns the names of the loggers to which Caddy logs a request. Caddy does not export this.
func loggerNames(config *caddyhttp.ServerLogConfig, r *http.Request) []string {
	if config == nil {
		return []string{""}
	}
	if chosen, ok := caddyhttp.GetVar(r.Context(), caddyhttp.AccessLoggerNameVarKey).([]any); ok { // the directive log_name
		var names []string
		for _, one := range chosen {
			name, _ := one.(string)
			names = append(names, name)
		}
		return names
	}
	host := strings.ToLower(hostOf(r.Host))
	if names, ok := config.LoggerNames[host]; ok {
		return names
	}
	labels := strings.Split(host, ".")
	for i := range labels {
		if labels[i] == "" {
			continue
		}
		labels[i] = "*"
		if names, ok := config.LoggerNames[strings.Join(labels, ".")]; ok {
			return names
		}
	}
	return []string{config.DefaultLoggerName}
}

// logsAccess reports whether Caddy logs requests for a host to the access log.
func logsAccess(config *caddyhttp.ServerLogConfig, host string) bool {
	if config == nil {
		return false
	}
	host = hostOf(host)
	for name := range config.LoggerNames {
		if certmagic.MatchWildcard(host, name) {
			return true
		}
	}
	for _, skipped := range config.SkipHosts {
		if certmagic.MatchWildcard(host, skipped) {
			return false
		}
	}
	return !config.SkipUnmappedHosts
}

// hostOf returns a host without its port.
func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return hostport
}
