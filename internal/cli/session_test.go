package cli

import (
	"strings"
	"testing"
)

func TestAnswersAreBounded(t *testing.T) {
	if data, err := readBounded(strings.NewReader("12345"), 5); err != nil || string(data) != "12345" {
		t.Errorf("an answer of the limit: %q, %v", data, err)
	}
	if _, err := readBounded(strings.NewReader("123456"), 5); err == nil || !strings.Contains(err.Error(), "larger than 5 bytes") {
		t.Errorf("a larger answer: %v", err)
	}
}
