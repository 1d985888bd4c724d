package hop

// Rights are what the operator lets a plugin see and do, beyond the metadata
// that every plugin gets. The names are those of the config's grants.
type Rights struct {
	Identity    bool // identity.read: who the sender and the target are
	Audience    bool // audience.read: the recipients, and to leave some out
	Attributes  bool // attributes.read: what other stages noted
	PayloadHash bool // payload.hash
	Payload     bool // payload.bytes: the ciphertext
	Credential  bool // credential.read: the hello frame
	Priority    bool // priority.write
	Drop        bool // verdict.drop
	Hold        bool // delivery.hold
}

// Names of rights, in the order in which they are listed.
const (
	IdentityRead   = "identity.read"
	AudienceRead   = "audience.read"
	AttributesRead = "attributes.read"
	PayloadHash    = "payload.hash"
	PayloadBytes   = "payload.bytes"
	CredentialRead = "credential.read"
	PriorityWrite  = "priority.write"
	VerdictDrop    = "verdict.drop"
	DeliveryHold   = "delivery.hold"
)

// Grant adds the right of a name and reports whether there is one.
func (r *Rights) Grant(name string) bool {
	right := map[string]*bool{
		IdentityRead: &r.Identity, AudienceRead: &r.Audience, AttributesRead: &r.Attributes,
		PayloadHash: &r.PayloadHash, PayloadBytes: &r.Payload, CredentialRead: &r.Credential,
		PriorityWrite: &r.Priority, VerdictDrop: &r.Drop, DeliveryHold: &r.Hold,
	}[name]
	if right == nil {
		return false
	}
	*right = true
	return true
}
