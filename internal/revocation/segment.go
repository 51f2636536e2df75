package revocation

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-m2m/caddy-m2m/internal/envelope"
)

// A segment is an object that holds some entries, as JSON in an envelope that names the segment. One node writes it once
// and nothing changes it, so that a node that has read a name never reads it again. The name begins with the second in
// which the last of its entries is over, so that a node can delete it unread:
//
//	<seconds since 1970>-<writer>-<number>.json
const segmentSuffix = ".json"

// storageGrace is how much longer entries stay in storage than in memory, so that a node whose clock is ahead does not
// delete what others need.
const storageGrace = time.Hour

// storedEntry is an entry in a segment. Its times are in seconds since 1970.
type storedEntry struct {
	ID       string `json:"jti,omitempty"`
	ClientID string `json:"client_id,omitempty"`
	Before   int64  `json:"before,omitempty"`
	Expires  int64  `json:"exp"`
	Owner    string `json:"owner,omitempty"` // earlier versions ignore it, and iat
	Issued   int64  `json:"iat,omitempty"`
}

// segmentLabel names a segment in its envelope, so that an object under the name of another is refused.
func segmentLabel(key string) string { return "revocations " + path.Base(key) }

func encodeSegment(key string, entries []Entry) ([]byte, error) {
	stored := make([]storedEntry, len(entries))
	for n, e := range entries {
		stored[n] = storedEntry{ID: e.ID, ClientID: e.ClientID, Expires: e.Expires.Unix()}
		if e.ClientID != "" {
			stored[n].Before = e.Before.Unix()
		}
		if e.Owner != "" {
			stored[n].Owner, stored[n].Issued = e.Owner, e.Issued.Unix()
		}
	}
	content, err := json.Marshal(stored)
	if err != nil {
		return nil, err
	}
	return envelope.Seal(segmentLabel(key), content), nil
}

func decodeSegment(key string, object []byte) ([]Entry, error) {
	content, err := envelope.Open(segmentLabel(key), object)
	if err != nil {
		return nil, err
	}
	var stored []storedEntry
	if err := json.Unmarshal(content, &stored); err != nil {
		return nil, errors.New("it is not a JSON array of entries")
	}
	entries := make([]Entry, len(stored))
	owners := make(map[string]string) // so that entries share the text
	for n, e := range stored {
		if (e.ID == "") == (e.ClientID == "") {
			return nil, errors.New("an entry names not exactly one of a token and a client")
		}
		entries[n] = Entry{ID: e.ID, ClientID: e.ClientID, Expires: time.Unix(e.Expires, 0).UTC()}
		if e.ClientID != "" {
			entries[n].Before = time.Unix(e.Before, 0).UTC()
		} else if e.Owner != "" && e.Issued > 0 {
			if _, known := owners[e.Owner]; !known {
				owners[e.Owner] = e.Owner
			}
			entries[n].Owner, entries[n].Issued = owners[e.Owner], time.Unix(e.Issued, 0).UTC()
		}
	}
	return entries, nil
}

// segmentName returns the name of a segment.
func segmentName(entries []Entry, writer string, number uint64) string {
	var last time.Time
	for _, e := range entries {
		if e.Expires.After(last) {
			last = e.Expires
		}
	}
	return fmt.Sprintf("%012d-%s-%08d%s", last.Add(Grace).Unix(), writer, number, segmentSuffix)
}

// endOf returns when the last entry of a segment is over, by its key. It is not ok if the object is not a segment, as a
// temporary file of a file storage.
func endOf(key string) (at time.Time, ok bool) {
	name, ok := strings.CutSuffix(path.Base(key), segmentSuffix)
	text, _, dashed := strings.Cut(name, "-")
	seconds, err := strconv.ParseInt(text, 10, 64)
	return time.Unix(seconds, 0), ok && dashed && err == nil
}
