package registry

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
)

// A secret that another program made keeps working after it was imported. A registry keeps its hash as it keeps those of its
// own, so it must be as impossible to guess: 128 random bits. How random a text is cannot be known. So its bits are judged by
// its length and its characters, and a text that looks as if a person has chosen it is refused.
const (
	minImportedBits = 128
	maxImported     = 512 // bytes; a longer one does not arrive at the token endpoint
)

var (
	errImportedOwn = fmt.Errorf("a secret that begins with %q is one of this program, and this one is mistyped", secretPrefix)
	errImportedMax = fmt.Errorf("a secret has %d characters at most", maxImported)
	errUUID        = errors.New("a UUID is not a secret: it has at most 122 random bits, and 128 are needed")
	errPattern     = errors.New("the secret repeats itself, or follows the alphabet or the keyboard: it was not made at random")
	errWords       = errors.New("the secret looks like words that a person has chosen: it was not made at random")
)

// CheckImported returns an error if a secret that another program made cannot be used here. Errors do not repeat it.
func CheckImported(s string) error {
	if strings.HasPrefix(s, secretPrefix) {
		return errImportedOwn
	}
	if len(s) > maxImported {
		return errImportedMax
	}
	for i := range len(s) {
		// Basic authentication with and without form-encoding must mean the same secret (RFC 6749 §2.3.1)
		if c := s[i]; c <= ' ' || c > '~' || c == ':' || c == '%' {
			return fmt.Errorf("character 0x%02x at byte %d of the secret is not allowed", c, i+1)
		}
	}
	if bits := judgedBits(s); bits < minImportedBits {
		return fmt.Errorf("the secret has %d bits, judged by its length and characters, and %d are needed: "+
			"32 hex digits, or 22 letters in upper and lower case and digits", int(bits), minImportedBits)
	}
	switch {
	case isUUID.MatchString(s):
		return errUUID
	case predictable(s) > len(s)/3:
		return errPattern
	case looksLikeWords(s):
		return errWords
	}
	return nil
}

// CheckImport returns an error if a secret cannot be imported for a client. A secret of NewSecret can be: it may come from
// another registry.
func CheckImport(s, clientID string) error {
	if CheckSecret(s) == nil {
		return nil
	}
	if err := CheckImported(s); err != nil {
		return err
	}
	if containsID(s, clientID) {
		return errors.New("the secret contains the client's id")
	}
	return nil
}

// containsID reports whether a secret contains the client's id, in any case.
func containsID(s, clientID string) bool {
	return len(clientID) > 3 && strings.Contains(strings.ToLower(s), strings.ToLower(clientID))
}

// ImportedSecret returns what a registry keeps of a secret that CheckImport accepts.
func ImportedSecret(s string) Secret {
	return Secret{SHA256: SumSecret(s), Imported: CheckSecret(s) != nil}
}

var isUUID = regexp.MustCompile(`(?i)^[{]?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}[}]?$`)

// judgedBits returns how many bits a text has if each of its characters was chosen at random from the smallest usual alphabet
// that has all of them.
func judgedBits(s string) float64 {
	size := alphabetOf(s)
	if size < 2 {
		return 0
	}
	return float64(len(s)) * math.Log2(float64(size))
}

const (
	lowerHex = "abcdef"
	upperHex = "ABCDEF"
	lower    = "abcdefghijklmnopqrstuvwxyz"
	upper    = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	tenDigit = "0123456789"
)

// alphabetOf counts a class of characters as a whole if the text has one of it, and each other character once.
func alphabetOf(s string) (size int) {
	var others [128]bool
	hasDigit, hasLower, hasUpper, beyondHex := false, false, false, false
	for i := range len(s) {
		switch c := s[i]; {
		case strings.IndexByte(tenDigit, c) >= 0:
			hasDigit = true
		case strings.IndexByte(lower, c) >= 0:
			hasLower, beyondHex = true, beyondHex || strings.IndexByte(lowerHex, c) < 0
		case strings.IndexByte(upper, c) >= 0:
			hasUpper, beyondHex = true, beyondHex || strings.IndexByte(upperHex, c) < 0
		case !others[c]:
			others[c] = true
			size++
		}
	}
	letters := len(lower)
	if !beyondHex {
		letters = len(lowerHex)
	}
	if hasDigit {
		size += len(tenDigit)
	}
	if hasLower {
		size += letters
	}
	if hasUpper && (beyondHex || !hasLower) { // hex in both cases has no more digits
		size += letters
	}
	return size
}

// predictable counts the characters that follow from those before them: a repeated one, the next one of the alphabet or of a row
// of the keyboard, and the end of three that came before.
func predictable(s string) (count int) {
	s = strings.ToLower(s)
	var seen [1 << 9]uint64 // a bit for each three that came before; few share one
	for i := 1; i < len(s); i++ {
		before := false
		if i >= 2 {
			n := (uint(s[i-2])*961 + uint(s[i-1])*31 + uint(s[i])) % (uint(len(seen)) * 64)
			before = seen[n/64]&(1<<(n%64)) != 0
			seen[n/64] |= 1 << (n % 64)
		}
		switch {
		case s[i] == s[i-1]:
			count++
		case i >= 2 && isNext(s[i-2], s[i-1]) && isNext(s[i-1], s[i]):
			count++
		case i >= 2 && isNext(s[i], s[i-1]) && isNext(s[i-1], s[i-2]):
			count++
		case before:
			count++
		}
	}
	return count
}

const keyboard = "qwertyuiop asdfghjkl zxcvbnm 1234567890"

func isNext(a, b byte) bool {
	at := strings.IndexByte(keyboard, a)
	return b == a+1 || at >= 0 && at+1 < len(keyboard) && keyboard[at+1] == b
}

// commonPairs are the pairs of letters that are the most frequent in English and in related languages. They are two thirds of
// the pairs in words, and a tenth of those in random letters.
const commonPairs = " th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co me de hi ri ro ic ne ea ra ce li ch ll be ma si om ur ei ie ge un em et el ss pr la us ec di pa il ca ot sa ee oo ct " +
	"ac ad am ap ba ck do ey fo id im ke ki ks lo ly mi mo my na no od oi op os ow pe pl po rd rs ry sh so su ta tt tr wo ke ay "

// isCommonPair holds them as numbers: unauthenticated callers can have long texts checked.
var isCommonPair = func() (pairs [26 * 26]bool) {
	for pair := range strings.FieldsSeq(commonPairs) {
		pairs[pairNumber(pair[0], pair[1])] = true
	}
	return pairs
}()

func pairNumber(a, b byte) int { return int(a-'a')*26 + int(b-'a') }

// looksLikeWords reports whether letters follow one another as they do in words.
func looksLikeWords(s string) bool {
	s = strings.ToLower(s)
	pairs, common := 0, 0
	for i := 1; i < len(s); i++ {
		if s[i-1] < 'a' || s[i-1] > 'z' || s[i] < 'a' || s[i] > 'z' {
			continue
		}
		pairs++
		if isCommonPair[pairNumber(s[i-1], s[i])] {
			common++
		}
	}
	return common >= leastWordPairs && 2*common > pairs
}

// leastWordPairs is more than random letters have by chance.
const leastWordPairs = 9
