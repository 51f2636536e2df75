package bundle

// What the tests, which run whole policies, see of this package.
const (
	LongPollType = longPollType
	MaxUnpacked  = maxUnpacked
)

type Pace = pace

func (c *Config) Pace() *Pace { return &c.pace }

var (
	Read         = read
	Verification = verification
	OpenKept     = openKept
)

// SealKept makes the object of a kept bundle of a URL.
func SealKept(url string, compressed []byte) ([]byte, error) {
	return keptHeader{URLSHA256: hashText(url)}.seal(compressed)
}
