package cli

import "testing"

func TestWhiteSpaceAroundSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"x": "", "x\n": "",
		"": "nothing", "\n": "nothing", " \r\n": "nothing",
		"x\r\n": "a carriage return follows", "\ufeffx\n": "a byte order mark", " x\n": "white space precedes the", "x \n": "white space follows the",
		"x\n\n": "white space follows", "\tx\u00a0": "white space precedes and follows", "x\u200b\n": "white space follows",
	} {
		secret, err := trimmedSecret(text)
		if want == "" {
			if err != nil || secret != "x" {
				t.Errorf("%q: %q, %v", text, secret, err)
			}
		} else if err == nil || len(err.Error()) < len(want) || err.Error()[:len(want)] != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
