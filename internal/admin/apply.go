package admin

import (
	"errors"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-m2m/caddy-m2m/internal/admin/api"
	"github.com/caddy-m2m/caddy-m2m/internal/registry"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/file"
	"github.com/caddy-m2m/caddy-m2m/internal/registry/store"
)

func applyFile(a *request) error {
	if err := a.checkNoVersion(); err != nil {
		return err
	}
	dryRun, err := a.flag("dry_run")
	if err != nil {
		return err
	}
	prune, err := a.flag("prune")
	if err != nil {
		return err
	}
	if !dryRun {
		if _, err := a.writable(); err != nil {
			return err
		}
	}
	data, mediaType, err := a.body(api.MaxApplyBody, "application/yaml", "application/json")
	if err != nil {
		return err
	}
	name := "registry." + strings.TrimPrefix(mediaType, "application/")
	p := a.startProgress()
	var changes []registry.Change
	if a.issuer.Store != nil {
		changes, err = a.issuer.Store.Apply(a.r.Context(), name, data, store.ApplyOptions{
			DryRun: dryRun, Prune: prune, Compared: p.at("comparing"), Written: p.at("writing"),
		})
	} else {
		changes, err = a.issuer.Registry.(*file.File).Plan(a.r.Context(), name, data, prune)
	}
	if partly, ok := errors.AsType[*store.PartlyAppliedError](err); ok {
		a.audit("apply", partly.Written...)
	}
	if err != nil {
		return p.fail(err)
	}
	if !dryRun {
		a.audit("apply", changes...)
	}
	p.done(api.Applied{Changes: viewChanges(changes), DryRun: dryRun})
	return nil
}

func exportFile(a *request) error {
	format := a.query.Get("format")
	switch {
	case format == "json" || format == "yaml":
	case format != "":
		return api.Invalid("format must be json or yaml")
	case strings.Contains(a.r.Header.Get("Accept"), "yaml"):
		format = "yaml"
	default:
		format = "json"
	}
	withoutSecrets, err := a.flag("without_secrets")
	if err != nil {
		return err
	}
	ctx := a.r.Context()
	resources, err := a.resources()
	if err != nil {
		return err
	}
	ids, err := a.issuer.Registry.ClientIDs(ctx, "", "", 0)
	if err != nil {
		return err
	}
	var whole spool
	defer func() {
		if err := whole.remove(); err != nil {
			a.issuer.Logger.Warn("removing the temporary file of an export failed", zap.Error(err))
		}
	}()
	if err := registry.Export(&whole, format, resources, a.allClients(ids, withoutSecrets)); err != nil {
		a.issuer.Logger.Error("exporting the registry failed", zap.Error(err))
		return err
	}
	a.w.Header().Set("Content-Type", "application/"+format)
	a.w.Header().Set("Content-Length", strconv.FormatInt(whole.size, 10))
	if err := whole.copyTo(a.w); err != nil {
		a.issuer.Logger.Error("sending an export failed", zap.Error(err))
		panic(http.ErrAbortHandler) // the answer has begun, so only this shows that it is not complete
	}
	return nil
}

// allClients yields the clients, without their secrets if that is wanted: apply then keeps those that are stored.
func (a *request) allClients(ids []string, withoutSecrets bool) iter.Seq2[*registry.Client, error] {
	return func(yield func(*registry.Client, error) bool) {
		for _, id := range ids {
			client, err := a.issuer.Registry.Client(a.r.Context(), id)
			if isNotFound(err) {
				continue // deleted meanwhile
			}
			if err == nil && withoutSecrets {
				bare := *client // what the registry returns must not be changed
				bare.Secrets = nil
				client = &bare
			}
			if !yield(client, err) {
				return
			}
		}
	}
}
