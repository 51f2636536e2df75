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
	notText   = "every parameter must be a JSON string; resource may be an array of them"
	isTwice   = "a parameter is repeated"
	tooMuch   = "too many parameters"
)

// TestParseJSON holds what is accepted and, if a body has several faults, which one is reported: the first.
func TestParseJSON(t *testing.T) {
	deep := strings.Repeat("[", 9_999) + strings.Repeat("]", 9_999)
	full := strings.TrimSuffix(manyMembers(maxParams), "}")
	long := `"resource":[` + strings.TrimSuffix(strings.Repeat(`"a",`, maxParams), ",")
	for body, want := range map[string]string{ // what is taken is written as a query
		"{}": "", " \t\r\n{ } \n": "", `{"a":""}`: "a=", `{"":"b"}`: "=b", `{"a":"b","A":"c"}`: "A=c&a=b",
		`{"resource":"a"}`: "resource=a", `{"resource":[]}`: "", `{"resource":["a","b"]}`: "resource=a&resource=b",
		`{"r\u0065source":["a"]}`: "resource=a", `{"a":"\u0000\ud83d\ude00"}`: "a=%00%F0%9F%98%80", `{"a/b~":"c"}`: "a%2Fb~=c",
		"{" + long + "]}": "*100", full + "}": "*100",

		"": notObject, " ": notObject, "null": notObject, "true": notObject, `"a"`: notObject, "1": notObject, "[]": notObject, "[{}]": notObject,
		"{": notObject, "}": notObject, "{}}": notObject, "{}{}": notObject, "{},": notObject, "{}null": notObject, "{}\x00": notObject,
		"\ufeff{}": notObject, "{a:1}": notObject, "{'a':'b'}": notObject, `{"a"}`: notObject, `{"a":"b",}`: notObject,
		`{,"a":"b"}`: notObject, `{"a":"b" "c":"d"}`: notObject, `{"a","b"}`: notObject, `{"a":"b":"c"}`: notObject, `{"a":"b"`: notObject,
		`{"a":"b`: notObject, `{"a":"b"]`: notObject, `{"a":"b"}//`: notObject, `{null:"a"}`: notObject, `{"a":tru}`: notText, `{"a":nul}`: notText, `{"a":}`: notText, `{"resource":["a"}`: notText,
		"{\"a\":\"\xff\"}": notObject, "{\"\xff\":\"a\"}": notObject, `{"a":"\ud800"}`: notObject, `{"a":"\x"}`: notObject, "{\"a\":\"\n\"}": notObject,
		`{"resource":["a"`: notObject, `{"resource":["a",]}`: notObject, `{"resource":[,"a"]}`: notObject,

		`{"a":null}`: notText, `{"a":true}`: notText, `{"a":1}`: notText, `{"a":{}}`: notText, `{"a":["b"]}`: notText, `{"a":[]}`: notText,
		`{"Resource":["a"]}`: notText, `{"resource":null}`: notText, `{"resource":{}}`: notText, `{"resource":1}`: notText,
		`{"resource":[null]}`: notText, `{"resource":["a",1]}`: notText, `{"resource":[["a"]]}`: notText, `{"a":` + deep + "}": notText,
		`{"a":{"b":1,"b":2}}`: notText, `{"a":{"resource":"b"}}`: notText, `{"a":{"b`: notText,

		`{"a":"b","a":"c"}`: isTwice, `{"a":"b","\u0061":"c"}`: isTwice, `{"":"b","":"c"}`: isTwice, `{"resource":"a","resource":"b"}`: isTwice,
		`{"resource":["a"],"resource":["b"]}`: isTwice, `{"a":"b","a":1}`: isTwice, `{"a":"b","a"`: isTwice,

		full + `,"y":""}`: tooMuch, full + `,"y":1}`: tooMuch, full + `,"x1":""}`: tooMuch, full + ",}": tooMuch, full: tooMuch,
		"{" + long + `,"a"]}`: tooMuch, "{" + long + ",1]}": tooMuch, "{" + long: tooMuch,

		`{"a":1,"a":"b"}`: notText, `{"a":1`: notText, `{"a":1}x`: notText, `{"a":"b","a":"c"}x`: isTwice, full + `,"y":""}x`: tooMuch,
	} {
		p, err := parseJSON([]byte(body))
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
