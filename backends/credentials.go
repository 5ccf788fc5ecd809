package backends

import (
	"fmt"
	"net/http"

	"github.com/rerankd/rerankd/config"
)

// credentials are rerankd's own, of one kind or none. The vendors' transports hold them.
type credentials struct {
	username, password string // Basic, RFC 7617
	apiKey             string // base64 of id:key, as the cluster printed it
	token              string // Bearer, RFC 6750
}

// newCredentials takes them from the configuration. With passthrough there are none, whatever is written: then nothing can leak.
func newCredentials(c config.Cluster) (credentials, error) {
	switch c.Auth {
	case "", config.AuthPassthrough:
		return credentials{}, nil
	case config.AuthInjectIfMissing, config.AuthOverride:
	default:
		return credentials{}, fmt.Errorf("auth: unknown value %q", c.Auth)
	}
	own := credentials{c.Username, string(c.Password), string(c.APIKey), string(c.Token)}
	if own == (credentials{}) || (own.username == "") != (own.password == "") {
		return credentials{}, fmt.Errorf("auth: %s needs username and password, api_key, or token", c.Auth)
	}
	return own, nil
}

// mayInject reports whether the vendor's transport may put rerankd's credentials on req.
//
//	                     client sent none   client sent some   client's were taken off on the way
//	passthrough          no                 no                 no
//	inject-if-missing    yes                no                 no
//	override             yes                yes                yes
//
// The presence of the key decides, not its value: [Backend.RoundTrip] says who leaves it with no values.
func (b *Backend) mayInject(req *http.Request, own bool) bool {
	switch b.auth {
	case config.AuthOverride:
		return true
	case config.AuthInjectIfMissing:
		_, sent := req.Header["Authorization"]
		return own || !sent
	}
	return false
}
