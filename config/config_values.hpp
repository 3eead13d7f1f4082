#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// @file
/// Converts values of settings to text and back. Readers return nothing if the
/// text is not such a value.

namespace aiops {

/// `250ms`, `30s`, `5m` or `2h`; the unit is required.
std::optional<std::chrono::milliseconds> read_duration(std::string_view text);

std::string write_duration(std::chrono::milliseconds x);

/// Bytes: `1048576`, `512KiB`, `1MiB` or `2GiB`.
std::optional<int64_t> read_size(std::string_view text);

std::string write_size(int64_t bytes);

std::optional<int64_t> read_number(std::string_view text);

/// `true`, `yes`, `on`, `1` and their opposites.
std::optional<bool> read_bool(std::string_view text);

struct endpoint {
  std::string host;
  uint16_t port = 0;
};

/// `HOST:PORT`, an IPv6 address in brackets.
std::optional<endpoint> read_endpoint(std::string_view text);

std::string write_endpoint(const std::string& host, uint16_t port);

/// Parts of a list that commas separate, without the spaces around them.
std::vector<std::string> read_list(std::string_view text);

/// Whether `url` can name a NATS server: `[nats://|tls://][…@]HOST[:PORT]`.
bool valid_nats_url(std::string_view url);

/// Whether `url` can name an OpenSearch node: `http[s]://HOST[:PORT][/PATH]`,
/// without user and password.
bool valid_opensearch_url(std::string_view url);

/// Whether `url` can be a webhook: `http[s]://HOST[:PORT][/PATH][?QUERY]`,
/// without user and password.
bool valid_webhook_url(std::string_view url);

/// The URL with `***` in place of a password or token.
std::string hide_password(std::string_view url);

} // namespace aiops
