package httpguard

import (
	"net/http"
	"reflect"
	"testing"
)

func TestStripIdentityHeaders(t *testing.T) {
	names := []string{"X-Client-Id", "X-Client-Scope"}
	cases := map[string]struct{ header, want http.Header }{
		"nothing":       {http.Header{"Accept": {"*/*"}}, http.Header{"Accept": {"*/*"}}},
		"canonical":     {http.Header{"X-Client-Id": {"a", "b"}, "Accept": {"x"}}, http.Header{"Accept": {"x"}}},
		"empty value":   {http.Header{"X-Client-Id": nil}, http.Header{}},
		"case":          {http.Header{"x-cLIENT-id": {"a"}}, http.Header{}},
		"underscores":   {http.Header{"X_Client_Id": {"a"}, "X-Client_scope": {"b"}}, http.Header{}},
		"dots":          {http.Header{"X.Client.Id": {"a"}, "X Client Id": {"b"}, "X!Client~Id": {"c"}}, http.Header{}},
		"neighbours":    {http.Header{"X-Client-Ids": {"a"}, "X-Clientid": {"a"}, "Xaclient-Id": {"a"}}, http.Header{"X-Client-Ids": {"a"}, "X-Clientid": {"a"}, "Xaclient-Id": {"a"}}},
		"connection":    {http.Header{"Connection": {"close, X-Client-Id", "x_client_scope"}}, http.Header{"Connection": {"close"}}},
		"upgrade stays": {http.Header{"Connection": {"keep-alive, Upgrade"}}, http.Header{"Connection": {"keep-alive, Upgrade"}}},
		"only ours":     {http.Header{"Connection": {" \tx-client-id\t,,"}}, http.Header{}},
		"lower case":    {http.Header{"connection": {"x-client-id,te"}}, http.Header{"connection": {"te"}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			StripIdentityHeaders(c.header, names)
			if !reflect.DeepEqual(c.header, c.want) {
				t.Errorf("got %v, want %v", c.header, c.want)
			}
		})
	}
	StripIdentityHeaders(nil, names)
}

func BenchmarkStripIdentityHeaders(b *testing.B) {
	h := http.Header{"Accept": {"*/*"}, "User-Agent": {"x"}, "Authorization": {"Bearer x"}, "X-Forwarded-For": {"192.0.2.1"}}
	names := []string{"X-Client-Id", "X-Client-Scope"}
	b.ReportAllocs()
	for b.Loop() {
		StripIdentityHeaders(h, names)
	}
}
