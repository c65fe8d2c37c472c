#include "facade/serve_tls.h"

#include "facade/base/log.h"
#include "facade/metrics/families.h"
#include "facade/net/tls_error.h"

namespace ficus {

Result<void, std::string> ServeTls::open(TlsServerFiles files) {
  auto opened = TlsServerSource::open(std::move(files));
  if (!opened) return fail(opened.error());
  source_ = *std::move(opened);
  slot_ = std::make_shared<TlsServerSlot>(source_->context());
  for (const std::string& warning : source_->warnings()) log_event(LogLevel::kWarn, "tls_certificate", warning);
  // Zero from the start, as fixed_series.h has it: the classes are OpenSSL's and ours, no client's to choose.
  shard_.counter(families::kTlsHandshakes, {"client", "done"});
  for (const std::string_view failed : tls_class::kAll) shard_.counter(families::kTlsHandshakes, {"client", failed});
  for (int alert = 0; alert <= 0xff; ++alert) shard_.counter(families::kTlsHandshakes, {"client", alert_class(alert)});
  return {};
}

void ServeTls::watch() {
  if (!source_) return;
  timer_.expires_after(kLook);
  timer_.async_wait([this](error_code ec) {
    if (ec) return;
    look();
    watch();
  });
}

void ServeTls::look() {
  if (!source_) return;
  switch (source_->reload_if_changed()) {
    case TlsServerSource::Reload::kUnchanged:
      return;
    case TlsServerSource::Reload::kReloaded:
      slot_->set(source_->context());
      shard_.counter(families::kTlsReloads, {"reloaded"}).add();
      log_event(LogLevel::kInfo, "tls_reloaded", "the next connections are served with the new certificate");
      for (const std::string& warning : source_->warnings()) log_event(LogLevel::kWarn, "tls_certificate", warning);
      return;
    case TlsServerSource::Reload::kKept:
      shard_.counter(families::kTlsReloads, {"kept"}).add();
      log_event(LogLevel::kError, "tls_kept", "the certificate files changed and cannot be used; the old ones serve on",
                {{"reason", source_->error()}});
      return;
  }
}

}  // namespace ficus
