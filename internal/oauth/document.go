package oauth

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"time"
)

// Document is a small public document, encoded once and served many times with an ETag and a
// Cache-Control. It is safe for concurrent use.
type Document struct {
	body                            []byte
	contentType, etag, cacheControl string
}

// NewDocument makes a document of body, which must not change afterwards. Caches may keep it for
// maxAge, in whole seconds.
func NewDocument(body []byte, contentType string, maxAge time.Duration) *Document {
	sum := sha256.Sum256(body)
	return &Document{
		body:         body,
		contentType:  contentType,
		etag:         `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`,
		cacheControl: "public, max-age=" + strconv.FormatInt(int64(maxAge/time.Second), 10),
	}
}

// Metadata is what NewJSONDocument takes.
type Metadata interface {
	ServerMetadata | OpenIDConfiguration | ResourceMetadata
}

// NewJSONDocument makes an application/json document of m.
func NewJSONDocument[M Metadata](m M, maxAge time.Duration) *Document {
	return NewDocument(encodeJSON(m), typeJSON, maxAge)
}

// ServeHTTP answers GET and HEAD with the document, 304 when the client has it (RFC 9110 §13.1.2),
// and every other method with 405.
func (d *Document) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		methodNotAllowed("GET, HEAD").Write(w)
		return
	}
	h := w.Header()
	h.Set("Content-Type", d.contentType)
	h.Set("ETag", d.etag)
	h.Set("Cache-Control", d.cacheControl)
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.body))
}
