package caddymodule_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// trailersThatAreHeaders are fields of the message or of the client, which no trailer can have.
var trailersThatAreHeaders = []string{
	"Authorization", "Proxy-Authorization", "Cookie", "Content-Type", "Content-Encoding", "Content-Range", "Te", "Expect", "Range", "If-Match", "X-Sum", "X-Api-Key",
}

// announcements are values of Trailer, of which "" is none.
var announcements = []string{"", "X-Sum", strings.Join(trailersThatAreHeaders, ", ")}

// TestNoTrailerReachesTheUpstream over HTTP/1.1, announced or not, with a body that is read at once, in
// parts, buffered by reverse_proxy or replaced by another handler.
func TestNoTrailerReachesTheUpstream(t *testing.T) {
	for name, site := range map[string]string{
		"as it is":   "reverse_proxy UPSTREAM",
		"buffered":   "reverse_proxy UPSTREAM {\nrequest_buffers unlimited\n}",
		"replaced":   "request_body {\nset replaced\n}\nreverse_proxy UPSTREAM",
		"limited":    "request_body {\nmax_size 1MB\n}\nreverse_proxy UPSTREAM",
		"keep_token": "reverse_proxy UPSTREAM",
	} {
		t.Run(name, func(t *testing.T) {
			keep := ""
			if name == "keep_token" {
				keep = name
			}
			d := newDoorSite(t, doorSite("m2m_auth {\nissuer ISSUER\naudience "+doorAudience+"\n"+keep+"\n}\n"+site))
			fields := new(strings.Builder)
			for _, field := range trailersThatAreHeaders {
				fmt.Fprintf(fields, "%s: evil\r\n", field)
			}
			for _, field := range overrideNames() {
				fmt.Fprintf(fields, "%s: evil\r\n", field)
			}
			for _, announced := range announcements {
				header := "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + d.token("") + "\r\nTransfer-Encoding: chunked\r\n"
				if announced != "" {
					header += "Trailer: " + announced + "\r\n"
				}
				got := d.askRaw(header + "\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n" + fields.String() + "\r\n")
				if got.status != http.StatusOK {
					t.Fatalf("%d %s", got.status, got.body)
				}
				d.wantNoTrailer(announced, keep != "")
			}
		})
	}
}

func (d *door) wantNoTrailer(announced string, keepsToken bool) {
	d.t.Helper()
	seen := d.upstream.taken()[0]
	if len(seen.Trailer) > 0 || seen.Header.Get("Trailer") != "" {
		d.t.Errorf("announced %q: trailer %v", announced, seen.Trailer)
	}
	if (seen.Header.Get("Authorization") != "") != keepsToken || strings.Contains(fmt.Sprint(seen.Header), "evil") {
		d.t.Errorf("announced %q: header %v", announced, seen.Header)
	}
}

// TestNoTrailerReachesTheUpstreamOverHTTP2 reads them with net/http's HTTP/2 server.
func TestNoTrailerReachesTheUpstreamOverHTTP2(t *testing.T) {
	d := newDoorExpecting(t, "", "")
	for _, announced := range announcements {
		fields := []string{":method", "POST", ":scheme", "http", ":authority", "x", ":path", "/", "authorization", "Bearer " + d.token("")}
		if announced != "" {
			fields = append(fields, "trailer", announced)
		}
		// net/http resets a stream with an announced trailer that has Authorization or the like
		trailer := []string{"x-http-method", "DELETE", "x_original_url", "/admin", "x-client-id", "admin", "cookie", "evil", "x-sum", "evil"}
		if got := d.askHTTP2(fields, trailer...); got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
		d.wantNoTrailer(announced, false)
	}
}

// askHTTP2 sends fields that no careful client would, with a body and a trailer if there is one.
func (d *door) askHTTP2(fields []string, trailer ...string) answer {
	d.t.Helper()
	conn := d.dial()
	defer conn.Close()
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		d.t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	block := new(bytes.Buffer)
	encoder := hpack.NewEncoder(block)
	send := func(fields []string, end bool) error {
		block.Reset()
		for n := 0; n < len(fields); n += 2 {
			_ = encoder.WriteField(hpack.HeaderField{Name: fields[n], Value: fields[n+1]})
		}
		return framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: end, EndHeaders: true})
	}
	errs := []error{framer.WriteSettings(), send(fields, len(trailer) == 0)}
	if len(trailer) > 0 {
		errs = append(errs, framer.WriteData(1, false, []byte("abc")), send(trailer, true))
	}
	for _, err := range errs {
		if err != nil {
			d.t.Fatal(err)
		}
	}
	return d.readHTTP2(framer)
}

func (d *door) readHTTP2(framer *http2.Framer) answer {
	d.t.Helper()
	got := answer{header: make(http.Header)}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			d.t.Fatal(err)
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			got.status, _ = strconv.Atoi(f.PseudoValue("status"))
			for _, field := range f.RegularFields() {
				got.header.Add(field.Name, field.Value)
			}
			if f.StreamEnded() {
				return got
			}
		case *http2.DataFrame:
			got.body += string(f.Data())
			if f.StreamEnded() {
				return got
			}
		case *http2.RSTStreamFrame: // the request is malformed to net/http
			return got
		case *http2.GoAwayFrame:
			d.t.Fatalf("%v", f)
		}
	}
}
