package oauth

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"time"
)

// Document serves a small public document with an ETag and a Cache-Control. It is safe for concurrent use.
type Document struct {
	body                            []byte
	contentType, etag, cacheControl string
}

// NewDocument returns a document with this body, which must not be modified afterwards. Caches may keep it for maxAge, in
// whole seconds.
func NewDocument(body []byte, contentType string, maxAge time.Duration) *Document {
	sum := sha256.Sum256(body)
	return &Document{
		body:         body,
		contentType:  contentType,
		etag:         `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`,
		cacheControl: "public, max-age=" + strconv.FormatInt(int64(maxAge/time.Second), 10),
	}
}

// Metadata is a type of document that NewJSONDocument encodes.
type Metadata interface {
	ServerMetadata | ResourceMetadata
}

// NewJSONDocument returns a document that holds m as application/json.
func NewJSONDocument[M Metadata](m M, maxAge time.Duration) *Document {
	return NewDocument(encodeJSON(m), typeJSON, maxAge)
}

// ServeHTTP answers GET and HEAD with the document, or with 304 if the client has it (RFC 9110 §13.1.2). It answers other
// methods with 405. Public answers OPTIONS before.
func (d *Document) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		methodNotAllowed(publicMethods).Write(w)
		return
	}
	h := w.Header()
	h.Set("Content-Type", d.contentType)
	h.Set("ETag", d.etag)
	h.Set("Cache-Control", d.cacheControl)
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.body))
}
