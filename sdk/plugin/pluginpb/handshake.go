package pluginpb

// What both sides of the launch have to agree on before any message is read.
// A program that the broker did not start lacks the cookie and says so to
// whoever ran it by hand.
const (
	CookieKey   = "CLAUDEMESH_PLUGIN"
	CookieValue = "45ea274a8edd579542c3c2b479b1dc42202bdaa7c1578cb6f14beb63743f0beb"

	// Major is the version of the protocol in the handshake line. It changes
	// when an old plugin cannot work any more; everything else is negotiated in
	// Hello.
	Major = 1

	// PluginName is the name under which go-plugin dispenses the service.
	PluginName = "stage"

	// LifelineEnv holds the number of a descriptor that the plugin reads from
	// and never gets a byte of. End of file means that the broker is gone,
	// however it ended, and the plugin exits.
	LifelineEnv = "CLAUDEMESH_LIFELINE_FD"

	// MaxMessage is the longest message in bytes that either side sends or
	// accepts. gRPC's own default is the same for what is received, and no
	// limit for what is sent.
	MaxMessage = 4 << 20
)
