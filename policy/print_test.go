package policy

import "testing"

// TestMisspeltInputInPrint is refused on load, as elsewhere in a rule.
func TestMisspeltInputInPrint(t *testing.T) {
	for name, body := range map[string]string{
		"a statement":        "print(input.client.idd)",
		"among arguments":    "print(\"client\", input.client.id, input.client.idd)",
		"in a comprehension": "count([1 | some s in input.scopes; print(s.raww)]) > 0",
		"in a function":      "f(1)\n}\n\nf(_) if {\n\tprint(input.clients)",
		"an unsafe variable": "print(x)",
	} {
		dir := write(t, map[string]string{"a.rego": "package m2m.token\n\nttl contains 60 if {\n\t" + body + "\n}\n"})
		_, err := Load(Config{Paths: []string{dir}})
		if err == nil {
			t.Errorf("%s: it is accepted", name)
			continue
		}
		wantParts(t, err, "/a.rego:")
		if checked := (Candidate{Paths: []string{dir}}).Check(); checked == nil || checked.Error() != err.Error() {
			t.Errorf("%s: check says %v, and load %v", name, checked, err)
		}
	}
}

func TestPrintHasNoEffect(t *testing.T) {
	e := loadFiles(t, map[string]string{"a.rego": "package m2m.token\n\nttl contains 60 if {\n\tprint(input.client.id, to_number(input.client.id), data.missing)\n}\n"})
	wantTTL(t, e, 60)
}

func TestRegoWithAByteOrderMark(t *testing.T) {
	e := loadFiles(t, map[string]string{"a.rego": "\ufeff" + ttlFile(60)})
	wantTTL(t, e, 60)
}
