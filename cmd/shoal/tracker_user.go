package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/pflag"

	"github.com/shoal-bt/shoal/tracker/account"
	"github.com/shoal-bt/shoal/tracker/account/sqlite"
)

func trackerUserCommand() command {
	return command{
		name:    "tracker user",
		summary: "the users of a private tracker",
		usage:   usageOf(new(trackerUser).actions()),
		about: `
"add" and "rotate-key" print the user's announce URL, once: only a hash of its key
is kept. After "rotate-key" his old URLs, those in .torrent files too, are
refused. "disable" refuses all that he announces; "enable" takes it back.`,
		example: "shoal tracker user add anna",
		new:     func() runner { return new(trackerUser) },
	}
}

type trackerUser struct {
	trackerDB
	role   string
	slots  int
	invite string
	json   bool
}

func (r *trackerUser) flags(fs *pflag.FlagSet) {
	fs.StringVar(&r.role, "role", account.Member.String(), "add him with the `ROLE` member, uploader, moderator or admin")
	fs.IntVar(&r.slots, "slots", 0, "he may download `N` torrents at once; negative is any number (default: as the tracker's --slots says)")
	fs.StringVar(&r.invite, "invite", "", "add him by the `CODE` of an invitation, which gives the role")
	fs.BoolVar(&r.json, "json", false, "print JSON objects, one a line")
	r.trackerDB.flags(fs)
}

func (r *trackerUser) actions() []action {
	return []action{
		{"add", "NAME", r.add},
		{"list", "", r.list},
		{"show", "NAME", r.show},
		{"disable", "NAME", r.setState(account.Disabled)},
		{"enable", "NAME", r.setState(account.Active)},
		{"rotate-key", "NAME", r.rotateKey},
	}
}

func (r *trackerUser) run(ctx context.Context, e *env, args []string) error {
	act, args, err := pick(r.actions(), args)
	if err != nil {
		return err
	}
	return r.with(ctx, func(st *sqlite.Store) error { return act.run(ctx, e, st, args) })
}

// userKeyJSON is what "add" and "rotate-key" print with --json.
type userKeyJSON struct {
	Name        string `json:"name"`
	AnnounceURL string `json:"announce_url"`
}

// userJSON is what "list" and "show" print with --json.
type userJSON struct {
	Name       string   `json:"name"`
	Role       string   `json:"role"`
	State      string   `json:"state"`
	Uploaded   int64    `json:"uploaded"`
	Downloaded int64    `json:"downloaded"`
	Ratio      *float64 `json:"ratio"`
	SeedTime   int64    `json:"seed_seconds"`
	Snatches   int64    `json:"snatches"`
	Refused    string   `json:"last_refusal,omitempty"`
}

func userResult(u account.UserReport) userJSON {
	j := userJSON{
		Name: u.Name, Role: u.Role.String(), State: u.State.String(), Uploaded: u.Uploaded, Downloaded: u.Downloaded,
		SeedTime: int64(u.SeedTime / time.Second), Snatches: u.Snatches,
	}
	if u.Downloaded > 0 {
		ratio := float64(u.Uploaded) / float64(u.Downloaded)
		j.Ratio = &ratio
	}
	if u.LastRefusal != nil {
		j.Refused = u.LastRefusal.Reason
	}
	return j
}

func (r *trackerUser) add(ctx context.Context, e *env, st *sqlite.Store, args []string) error {
	role, err := account.ParseRole(r.role)
	if err != nil {
		return usagef("--role: %v", err)
	}
	base, err := announceBase(ctx, st)
	if err != nil {
		return err
	}
	key := account.NewKey()
	u := account.User{Name: args[0], Role: role, Slots: r.slots, CreatedAt: time.Now()}
	if r.invite == "" {
		_, err = st.CreateUser(ctx, u, key.Hash())
	} else {
		var code account.Key
		if code, err = account.ParseKey(r.invite); err != nil {
			return usagef("--invite: an invitation's code has 32 hexadecimal digits")
		}
		_, err = st.Redeem(ctx, code.Hash(), u, key.Hash())
	}
	if errors.Is(err, account.ErrExists) {
		return fmt.Errorf("%w; \"shoal tracker user rotate-key %s\" gives him a new key", err, printable(u.Name))
	}
	if err != nil {
		return err
	}
	return r.printKey(e, userKeyJSON{u.Name, account.AnnounceURL(base, key)}, "the user exists now")
}

// announceBase is what announce URLs begin with. It is asked for before anything
// is changed, because a key that cannot be printed is lost.
func announceBase(ctx context.Context, st *sqlite.Store) (*url.URL, error) {
	settings, err := st.Settings(ctx)
	if err != nil {
		return nil, err
	}
	return account.ParseBase(settings.URL)
}

// printKey prints where a user announces. If that fails, nobody has the key, and
// stderr says what was done all the same: also if it was a closed pipe, which is no error otherwise.
func (r *trackerUser) printKey(e *env, result userKeyJSON, done string) error {
	err := r.writeKey(e, result)
	if err != nil {
		e.logf("%s, but nobody has seen his new key; \"shoal tracker user rotate-key %s\" gives another", done, printable(result.Name))
	}
	return err
}

func (r *trackerUser) writeKey(e *env, result userKeyJSON) error {
	if r.json {
		return e.printJSON(result)
	}
	printField(e, "user", printable(result.Name))
	printField(e, "announce", result.AnnounceURL)
	_, err := e.stdout.Write(nil) // which has failed if anything before has
	return err
}

// userLine is the form of a line of "list".
const userLine = "%-20s  %-9s  %-8s  %10s  %10s  %6s\n"

func (r *trackerUser) list(ctx context.Context, e *env, st *sqlite.Store, _ []string) error {
	users, err := st.Users(ctx)
	if err != nil {
		return err
	}
	if len(users) == 0 {
		e.logf("there are no users yet; add one with \"shoal tracker user add NAME\"")
	} else if !r.json {
		e.printf(userLine, "user", "role", "state", "uploaded", "downloaded", "ratio")
	}
	for _, u := range users {
		if r.json {
			if err := e.printJSON(userResult(u)); err != nil {
				return err
			}
			continue
		}
		e.printf(userLine, printable(u.Name), u.Role, u.State,
			formatSize(u.Uploaded), formatSize(u.Downloaded), ratioText(userResult(u)))
	}
	return nil
}

func ratioText(u userJSON) string {
	if u.Ratio == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f", *u.Ratio)
}

func (r *trackerUser) show(ctx context.Context, e *env, st *sqlite.Store, args []string) error {
	u, err := st.User(ctx, args[0])
	if err != nil {
		return err
	}
	if r.json {
		return e.printJSON(userResult(u))
	}
	printField(e, "user", printable(u.Name))
	printField(e, "role", u.Role.String())
	printField(e, "state", u.State.String())
	printField(e, "uploaded", formatSize(u.Uploaded))
	printField(e, "downloaded", formatSize(u.Downloaded))
	printField(e, "ratio", ratioText(userResult(u)))
	printField(e, "seeded", formatDuration(u.SeedTime))
	printField(e, "completed", count(int(u.Snatches), "download"))
	if refusal := u.LastRefusal; refusal != nil {
		printField(e, "refused", fmt.Sprintf("%s (torrent %s, %s)", printable(refusal.Reason), refusal.InfoHash,
			time.Unix(0, int64(refusal.At)).Format(time.DateTime)))
	}
	return nil
}

func (r *trackerUser) setState(state account.State) func(context.Context, *env, *sqlite.Store, []string) error {
	return func(ctx context.Context, e *env, st *sqlite.Store, args []string) error {
		u, err := st.User(ctx, args[0])
		if err != nil {
			return err
		}
		u.State = state
		return st.UpdateUser(ctx, u.User)
	}
}

func (r *trackerUser) rotateKey(ctx context.Context, e *env, st *sqlite.Store, args []string) error {
	u, err := st.User(ctx, args[0])
	if err != nil {
		return err
	}
	base, err := announceBase(ctx, st)
	if err != nil {
		return err
	}
	key := account.NewKey()
	if err := st.RotateKey(ctx, u.ID, key.Hash(), account.KeyHash{}); err != nil {
		return err
	}
	return r.printKey(e, userKeyJSON{u.Name, account.AnnounceURL(base, key)}, "his old key is gone")
}
