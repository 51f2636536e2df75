package revocation

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
)

// A segment is an object of some entries. It is written once, by one node, and never changed, so that
// its name is all that others need to know of it: whoever has read it never reads it again. The name
// begins with the second in which the last of its entries is over, so that it can be deleted unread:
//
//	<seconds since 1970>-<writer>-<number>.json
const segmentSuffix = ".json"

// storageGrace is how much later than in memory entries go from the storage. A node whose clock is ahead
// must not delete what others need.
const storageGrace = time.Hour

type storedSegment struct {
	SHA256  string          `json:"sha256"` // of Entries, in hex
	Entries json.RawMessage `json:"entries"`
}

// storedEntry is an entry; its times are in seconds since 1970.
type storedEntry struct {
	ID       string `json:"jti,omitempty"`
	ClientID string `json:"client_id,omitempty"`
	Before   int64  `json:"before,omitempty"`
	Expires  int64  `json:"exp"`
}

func encodeSegment(entries []Entry) ([]byte, error) {
	stored := make([]storedEntry, len(entries))
	for n, e := range entries {
		stored[n] = storedEntry{ID: e.ID, ClientID: e.ClientID, Expires: e.Expires.Unix()}
		if e.ClientID != "" {
			stored[n].Before = e.Before.Unix()
		}
	}
	data, err := json.Marshal(stored)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	return json.Marshal(storedSegment{hex.EncodeToString(sum[:]), data})
}

func decodeSegment(object []byte) ([]Entry, error) {
	var s storedSegment
	if err := json.Unmarshal(object, &s); err != nil {
		return nil, errors.New("it is truncated or was changed: not a segment")
	}
	if sum := sha256.Sum256(s.Entries); s.SHA256 != hex.EncodeToString(sum[:]) {
		return nil, errors.New("it is truncated or was changed: its checksum is wrong")
	}
	var stored []storedEntry
	if err := json.Unmarshal(s.Entries, &stored); err != nil {
		return nil, errors.New("its entries are none")
	}
	entries := make([]Entry, len(stored))
	for n, e := range stored {
		if (e.ID == "") == (e.ClientID == "") {
			return nil, errors.New("an entry has not one name")
		}
		entries[n] = Entry{ID: e.ID, ClientID: e.ClientID, Expires: time.Unix(e.Expires, 0).UTC()}
		if e.ClientID != "" {
			entries[n].Before = time.Unix(e.Before, 0).UTC()
		}
	}
	return entries, nil
}

// segmentName is the name of a writer's segment of that number.
func segmentName(entries []Entry, writer string, number uint64) string {
	var last time.Time
	for _, e := range entries {
		if e.Expires.After(last) {
			last = e.Expires
		}
	}
	return fmt.Sprintf("%012d-%s-%08d%s", last.Add(Grace).Unix(), writer, number, segmentSuffix)
}

// endOf is when the last entry of a segment is over, by its key. It is not ok for an object that is none, such
// as the unfinished file of a storage that keeps files.
func endOf(key string) (at time.Time, ok bool) {
	name, ok := strings.CutSuffix(path.Base(key), segmentSuffix)
	text, _, dashed := strings.Cut(name, "-")
	seconds, err := strconv.ParseInt(text, 10, 64)
	return time.Unix(seconds, 0), ok && dashed && err == nil
}
