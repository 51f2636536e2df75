package oauth

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	notObject = "the body is not one JSON object"
	notText   = "a parameter must be a JSON string; resource and audience may be arrays of them"
	isTwice   = "a parameter is repeated"
	tooMuch   = "too many parameters"
)

// TestParseMembers holds what is accepted and, if a body has several faults, which one is reported: the first.
func TestParseMembers(t *testing.T) {
	deep := strings.Repeat("[", 9_999) + strings.Repeat("]", 9_999)
	full := strings.TrimSuffix(manyMembers(maxParams), "}")
	long := `"resource":[` + strings.TrimSuffix(strings.Repeat(`"a",`, maxParams), ",")
	for body, want := range map[string]string{ // what is taken is written as a query
		"{}": "", " \t\r\n{ } \n": "", `{"scope":""}`: "scope=", `{"":"b"}`: "", `{"scope":"b","Scope":"c"}`: "scope=b",
		`{"resource":"a"}`: "resource=a", `{"resource":[]}`: "", `{"resource":["a","b"]}`: "resource=a&resource=b",
		`{"r\u0065source":["a"]}`: "resource=a", `{"scope":"\u0000\ud83d\ude00"}`: "scope=%00%F0%9F%98%80", `{"scope/a~":"c"}`: "",
		`{"scope":null}`: "", `{"resource":null}`: "", `{"a":null}`: "", `{"a":true,"b":1e400}`: "", `{"a":["b",{"resource":1}]}`: "",
		`{"Resource":["a"]}`: "", `{"a":{"scope":1},"scope":"b"}`: "scope=b", `{"a":` + deep + "}": "", `{"audience":["a"]}`: "audience=a",
		"{" + long + "]}": "*100", full + "}": "*100",

		"": notObject, " ": notObject, "null": notObject, "true": notObject, `"a"`: notObject, "1": notObject, "[]": notObject, "[{}]": notObject,
		"{": notObject, "}": notObject, "{}}": notObject, "{}{}": notObject, "{},": notObject, "{}null": notObject, "{}\x00": notObject,
		"\ufeff{}": notObject, "{a:1}": notObject, "{'a':'b'}": notObject, `{"a"}`: notObject, `{"scope":"b",}`: notObject,
		`{,"scope":"b"}`: notObject, `{"scope":"b" "c":"d"}`: notObject, `{"a","b"}`: notObject, `{"scope":"b":"c"}`: notObject, `{"scope":"b"`: notObject,
		`{"scope":"b`: notObject, `{"scope":"b"]`: notObject, `{"scope":"b"}//`: notObject, `{null:"a"}`: notObject, `{"scope":tru}`: notText, `{"scope":nul}`: notObject, `{"scope":}`: notText, `{"resource":["a"}`: notText,
		"{\"scope\":\"\xff\"}": notObject, "{\"\xff\":\"a\"}": notObject, `{"scope":"\ud800"}`: notObject, `{"scope":"\x"}`: notObject, "{\"scope\":\"\n\"}": notObject,
		`{"resource":["a"`: notObject, `{"resource":["a",]}`: notObject, `{"resource":[,"a"]}`: notObject,

		`{"scope":true}`: notText, `{"scope":1}`: notText, `{"scope":{}}`: notText, `{"scope":["b"]}`: notText, `{"scope":[]}`: notText,
		`{"audience":{}}`: notText, `{"resource":{}}`: notText, `{"resource":1}`: notText,
		`{"resource":[null]}`: notText, `{"resource":["a",1]}`: notText, `{"resource":[["a"]]}`: notText, `{"scope":` + deep + "}": notText, `{"a":tru}`: notObject, `{"a":[}`: notObject,
		`{"a":{"b":1,"b":2}}`: isTwice, `{"a":1,"a":"b"}`: isTwice, `{"a":["\ud800"]}`: notObject, `{"a":[` + deep + "]}": notObject,
		`{"scope":{"b":1,"b":2}}`: notText, `{"scope":{"resource":"b"}}`: notText, `{"scope":{"b`: notText,

		`{"scope":"b","scope":"c"}`: isTwice, `{"scope":"b","sc\u006fpe":"c"}`: isTwice, `{"":"b","":"c"}`: isTwice, `{"resource":"a","resource":"b"}`: isTwice,
		`{"resource":["a"],"resource":["b"]}`: isTwice, `{"scope":"b","scope":1}`: isTwice, `{"scope":"b","scope"`: isTwice,

		full + `,"y":""}`: tooMuch, full + `,"y":1}`: tooMuch, full + `,"x1":""}`: tooMuch, full + ",}": tooMuch, full: tooMuch,
		"{" + long + `,"a"]}`: tooMuch, "{" + long + ",1]}": tooMuch, "{" + long: tooMuch,

		`{"scope":1,"scope":"b"}`: notText, `{"scope":1`: notText, `{"scope":1}x`: notText, `{"scope":"b","scope":"c"}x`: isTwice, full + `,"y":""}x`: tooMuch,
	} {
		p, err := parseMembers([]byte(body))
		got := url.Values(p).Encode()
		switch {
		case err != nil:
			got = err.Description
		case max(len(p), len(p["resource"])) == maxParams:
			got = "*" + strconv.Itoa(maxParams)
		}
		if got != want {
			t.Errorf("%.80q is %q of %q, want %q", body, got, slices.Sorted(maps.Keys(p)), want)
		}
	}
}
