package recipes_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type (
	message = grpc_health_v1.HealthCheckRequest
	reply   = grpc_health_v1.HealthCheckResponse
)

// books is a gRPC service that answers with the client that the door names.
var books = grpc.ServiceDesc{
	ServiceName: "books.v1.Books",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{
		{MethodName: "Get", Handler: getBook},
		{MethodName: "Delete", Handler: getBook},
	},
	Streams: []grpc.StreamDesc{{StreamName: "Watch", ServerStreams: true, Handler: watchBooks}},
}

func getBook(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	if err := decode(new(message)); err != nil {
		return nil, err
	}
	sent, _ := metadata.FromIncomingContext(ctx)
	if got := sent.Get("x-client-id"); len(got) != 1 || got[0] != "ci-bot" || len(sent.Get("authorization")) > 0 {
		return nil, status.Errorf(codes.Internal, "metadata %v", sent)
	}
	return &reply{Status: grpc_health_v1.HealthCheckResponse_SERVING}, nil
}

func watchBooks(_ any, stream grpc.ServerStream) error {
	for range 3 {
		if err := stream.SendMsg(&reply{Status: grpc_health_v1.HealthCheckResponse_SERVING}); err != nil {
			return err
		}
	}
	return status.Error(codes.OutOfRange, "no more books")
}

// TestGRPC calls a service behind the door with grpc-go.
func TestGRPC(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	server.RegisterService(&books, nil)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)

	r := newRecipe(t)
	r.upstream = listener.Addr().String()
	url := r.site("grpc.example.com")
	const cleartext = "{\n\tservers {\n\t\tprotocols h1 h2 h2c\n\t}\n}\n" // the test has no certificates
	r.run(cleartext + block(t, "recipes.md", "## gRPC status codes", "caddyfile", 1))
	client, err := grpc.NewClient(strings.TrimPrefix(url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	good, poor := r.tokenFor(url, "ci-bot", "book:*:read"), r.tokenFor(url, "ci-bot", "book:1:read")
	for name, c := range map[string]struct {
		method, token string
		code          codes.Code
		text          string
	}{
		"a good token":       {"Get", good, codes.OK, ""},
		"no token":           {"Get", "", codes.Unauthenticated, "the access token is missing, expired or not valid"},
		"a bad token":        {"Get", good + "x", codes.Unauthenticated, "the access token is missing, expired or not valid"},
		"a poor token":       {"Get", poor, codes.PermissionDenied, "the access token does not cover this call"},
		"an unlisted method": {"Delete", good, codes.PermissionDenied, "the access token does not cover this call"},
	} {
		err := client.Invoke(withToken(t.Context(), c.token), "/books.v1.Books/"+c.method, new(message), new(reply))
		if got := status.Convert(err); got.Code() != c.code || got.Message() != c.text {
			t.Errorf("%s: %v %q", name, got.Code(), got.Message())
		}
	}
	if got := watch(withToken(t.Context(), good), client); got.Code() != codes.OutOfRange || got.Message() != "no more books" {
		t.Errorf("a stream: %v", got)
	}
	if got := watch(withToken(t.Context(), poor), client); got.Code() != codes.PermissionDenied {
		t.Errorf("a stream with a poor token: %v", got)
	}
	checkForeignClients(t, url)
	server.Stop()
	err = client.Invoke(withToken(t.Context(), good), "/books.v1.Books/Get", new(message), new(reply))
	if got := status.Convert(err); got.Code() != codes.Unavailable || strings.Contains(got.Message(), r.upstream) {
		t.Errorf("without the service: %v", got)
	}
}

func withToken(ctx context.Context, token string) context.Context {
	if token == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", bearer(token))
}

// watch reads a stream to its end.
func watch(ctx context.Context, client *grpc.ClientConn) *status.Status {
	stream, err := client.NewStream(ctx, &books.Streams[0], "/books.v1.Books/Watch")
	if err == nil {
		err = errors.Join(stream.SendMsg(new(message)), stream.CloseSend())
	}
	for err == nil {
		err = stream.RecvMsg(new(reply))
	}
	return status.Convert(err)
}

// checkForeignClients checks the answer as clients other than grpc-go need it: a status of gRPC in an answer of its type. A client
// that does not speak gRPC gets the answer of any door.
func checkForeignClients(t *testing.T, url string) {
	t.Helper()
	got := ask(t, "POST", url+"/books.v1.Books/Get", "Content-Type", "application/grpc+proto").expect(t, "a refusal", http.StatusOK)
	if h := got.Header; h.Get("Grpc-Status") != "16" || h.Get("Content-Type") != "application/grpc" || !strings.HasPrefix(h.Get("WWW-Authenticate"), "Bearer") || got.body != "" {
		t.Errorf("header %v", h)
	}
	ask(t, "POST", url+"/books.v1.Books/Get").expect(t, "another client", http.StatusUnauthorized, `"reason":"missing_token"`)
}

// TestTokenInASubprotocol opens a WebSocket as a browser does.
func TestTokenInASubprotocol(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(acceptWebSocket))
	t.Cleanup(upstream.Close)
	r := newRecipe(t)
	r.upstream = strings.TrimPrefix(upstream.URL, "http://")
	r.run(block(t, "recipes.md", "## A token in a WebSocket subprotocol", "caddyfile", 1))
	good := r.token("app", "book:*:read")
	handshake := func(more ...string) *http.Response {
		request, err := http.NewRequest("GET", r.api+"/feed", nil)
		if err != nil {
			t.Fatal(err)
		}
		more = append(more, "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
		for n := 0; n < len(more); n += 2 {
			request.Header.Set(more[n], more[n+1])
		}
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = response.Body.Close() })
		return response
	}
	for name, c := range map[string]struct {
		header []string
		status int
	}{
		"a token":            {[]string{"Sec-WebSocket-Protocol", "books.v1, bearer." + good}, http.StatusSwitchingProtocols},
		"without a space":    {[]string{"Sec-WebSocket-Protocol", "books.v1,bearer." + good}, http.StatusSwitchingProtocols},
		"a header":           {[]string{"Sec-WebSocket-Protocol", "books.v1", "Authorization", bearer(good)}, http.StatusSwitchingProtocols},
		"a poor token":       {[]string{"Sec-WebSocket-Protocol", "books.v1, bearer." + r.token("app", "book:1:read")}, http.StatusForbidden},
		"a bad token":        {[]string{"Sec-WebSocket-Protocol", "books.v1, bearer.x.y.z"}, http.StatusUnauthorized},
		"no token":           {[]string{"Sec-WebSocket-Protocol", "books.v1"}, http.StatusUnauthorized},
		"a token in the URL": {[]string{"Sec-WebSocket-Protocol", "books.v1, token." + good}, http.StatusUnauthorized},
	} {
		response := handshake(c.header...)
		if response.StatusCode != c.status {
			t.Errorf("%s: %s", name, response.Status)
			continue
		}
		if c.status != http.StatusSwitchingProtocols {
			continue
		}
		if h := response.Header; h.Get("Sec-WebSocket-Protocol") != "books.v1" || h.Get("X-Offered") != "books.v1" || h.Get("X-Authorization") != "" {
			t.Errorf("%s: header %v", name, h)
		}
		connection := response.Body.(io.ReadWriteCloser)
		echoed := make([]byte, 4)
		if _, err := io.WriteString(connection, "ping"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(connection, echoed); err != nil || string(echoed) != "ping" {
			t.Errorf("%s: %q, %v", name, echoed, err)
		}
	}
	if log := r.Log(); strings.Contains(log, good) {
		t.Error("the token is in the log")
	}
}

// acceptWebSocket answers the handshake of RFC 6455 §4.2.2, and then echoes bytes.
func acceptWebSocket(w http.ResponseWriter, r *http.Request) {
	connection, buffer, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer connection.Close()
	offered := r.Header.Get("Sec-WebSocket-Protocol")
	first, _, _ := strings.Cut(offered, ",")
	_, _ = buffer.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" +
		"Sec-WebSocket-Protocol: " + first + "\r\nX-Offered: " + offered + "\r\nX-Authorization: " + r.Header.Get("Authorization") + "\r\n\r\n")
	_ = buffer.Flush()
	_, _ = io.Copy(connection, buffer)
}
