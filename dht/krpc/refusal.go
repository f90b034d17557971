package krpc

import "fmt"

// The error codes of BEP 5 and, from 205 on, BEP 44.
const (
	CodeGeneric       = 201
	CodeServer        = 202
	CodeProtocol      = 203 // "such as a malformed packet, invalid arguments, or bad token"
	CodeUnknownMethod = 204
	CodeValueTooBig   = 205
	CodeSignature     = 206
	CodeSaltTooBig    = 207
	CodeCASMismatch   = 301
	CodeSeqTooLow     = 302
)

// Refusal says why a packet or a query is refused: the code and the text of
// the error that answers it (BEP 5). Refusals are fixed values, so that a
// flood of bad packets costs no memory; compare them by pointer.
type Refusal struct {
	Code int    // one of the Code constants
	Text string // one sentence of ASCII for the other side's log
}

// Error returns the code and the text.
func (r *Refusal) Error() string { return fmt.Sprintf("krpc error %d: %s", r.Code, r.Text) }

// The refusals of Parse. Only a packet that got as far as a transaction and
// the kind Query can be answered: see Message.Answerable.
var (
	RefuseBencode     = &Refusal{CodeProtocol, "the packet is not one bencoded dictionary"}
	RefuseDuplicate   = &Refusal{CodeProtocol, "a dictionary has the same key twice"}
	RefuseTransaction = &Refusal{CodeProtocol, "t must be a string of 1 to 32 bytes"}
	RefuseKind        = &Refusal{CodeProtocol, "y must be q, r or e"}
	RefuseVersion     = &Refusal{CodeProtocol, "v of the message must be a string"}
	RefuseReadOnly    = &Refusal{CodeProtocol, "ro must be an integer"}
	RefuseExternal    = &Refusal{CodeProtocol, "ip must be a string of 6 or 18 bytes"}
	RefuseMethod      = &Refusal{CodeProtocol, "q must be a string"}
	RefuseUnknown     = &Refusal{CodeUnknownMethod, "Method Unknown"}
	RefuseArguments   = &Refusal{CodeProtocol, "a must be a dictionary"}
	RefuseReturn      = &Refusal{CodeProtocol, "r must be a dictionary"}
	RefuseError       = &Refusal{CodeProtocol, "e must be a list of a code and a text"}
	RefuseID          = &Refusal{CodeProtocol, "id must be a string of 20 bytes"}
	RefuseTarget      = &Refusal{CodeProtocol, "target must be a string of 20 bytes"}
	RefuseInfoHash    = &Refusal{CodeProtocol, "info_hash must be a string of 20 bytes"}
	RefusePort        = &Refusal{CodeProtocol, "port must be an integer from 1 to 65535"}
	RefuseFlag        = &Refusal{CodeProtocol, "implied_port, seed, noseed and scrape must be integers"}
	RefuseWant        = &Refusal{CodeProtocol, "want must be a list of strings"}
	RefuseToken       = &Refusal{CodeProtocol, "token must be a string of 1 to 64 bytes"}
	RefuseNodes       = &Refusal{CodeProtocol, "nodes must be a string of 26 bytes a node"}
	RefuseNodes6      = &Refusal{CodeProtocol, "nodes6 must be a string of 38 bytes a node"}
	RefuseValues      = &Refusal{CodeProtocol, "values must be a list of strings of 6 or 18 bytes"}
	RefuseFilter      = &Refusal{CodeProtocol, "BFsd and BFpe must be strings of 256 bytes"}
	RefuseKey         = &Refusal{CodeProtocol, "k must be a string of 32 bytes"}
	RefuseSigLen      = &Refusal{CodeProtocol, "sig must be a string of 64 bytes"}
	RefuseSeq         = &Refusal{CodeProtocol, "seq must be an integer from 0 to 2^63-1"}
	RefuseCAS         = &Refusal{CodeProtocol, "cas must be an integer"}
	RefuseSalt        = &Refusal{CodeProtocol, "salt must be a string"}
	RefuseSaltLen     = &Refusal{CodeSaltTooBig, "salt is longer than 64 bytes"}
	RefuseValue       = &Refusal{CodeProtocol, "v must be canonical bencode"}
	RefuseValueLen    = &Refusal{CodeValueTooBig, "v is longer than 1000 bytes"}
	RefuseSamples     = &Refusal{CodeProtocol, "samples must be a string of 20 bytes an info-hash"}
	RefuseNum         = &Refusal{CodeProtocol, "num must be an integer that is not negative"}
	RefuseInterval    = &Refusal{CodeProtocol, "interval must be an integer from 0 to 21600"}
)
