#include "config/config_values.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace aiops {

namespace {

using unit = std::pair<std::string_view, int64_t>;

/// Small to large.
constexpr std::array<unit, 4> time_units = {{
  {"ms", 1},
  {"s", 1'000},
  {"m", 60'000},
  {"h", 3'600'000},
}};

/// Small to large.
constexpr std::array<unit, 4> size_units = {{
  {"", 1},
  {"KiB", 1024},
  {"MiB", 1024 * 1024},
  {"GiB", 1024 * 1024 * 1024},
}};

template <size_t N>
std::optional<int64_t> read_with_unit(std::string_view text,
                                      const std::array<unit, N>& units) {
  auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
  auto number = read_number(text.substr(0, digits));
  auto is_unit = [&](auto& x) { return x.first == text.substr(digits); };
  auto found = std::find_if(units.begin(), units.end(), is_unit);
  int64_t result = 0;
  if (!number || found == units.end()
      || __builtin_mul_overflow(*number, found->second, &result))
    return std::nullopt;
  return result;
}

/// In the largest unit that leaves a whole number.
template <size_t N>
std::string write_with_unit(int64_t x, const std::array<unit, N>& units) {
  auto fits = [&](auto& u) { return x != 0 && x % u.second == 0; };
  auto found = std::find_if(units.rbegin(), units.rend(), fits);
  auto& [name, factor] = found == units.rend() ? units.front() : *found;
  return std::to_string(x / factor) + std::string{name};
}

} // namespace

std::optional<std::chrono::milliseconds> read_duration(std::string_view text) {
  if (auto ms = read_with_unit(text, time_units))
    return std::chrono::milliseconds{*ms};
  return std::nullopt;
}

std::string write_duration(std::chrono::milliseconds x) {
  return write_with_unit(x.count(), time_units);
}

std::optional<int64_t> read_size(std::string_view text) {
  return read_with_unit(text, size_units);
}

std::string write_size(int64_t bytes) {
  return write_with_unit(bytes, size_units);
}

std::optional<int64_t> read_number(std::string_view text) {
  int64_t result = 0;
  auto end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, result);
  if (error != std::errc{} || stop != end)
    return std::nullopt;
  return result;
}

std::optional<bool> read_bool(std::string_view text) {
  for (auto yes : {"true", "yes", "on", "1"})
    if (text == yes)
      return true;
  for (auto no : {"false", "no", "off", "0"})
    if (text == no)
      return false;
  return std::nullopt;
}

std::optional<endpoint> read_endpoint(std::string_view text) {
  auto colon = text.rfind(':');
  if (colon == std::string_view::npos)
    return std::nullopt;
  auto host = text.substr(0, colon);
  auto port = read_number(text.substr(colon + 1));
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  else if (host.find_first_of(":[]") != std::string_view::npos)
    return std::nullopt;
  if (host.empty() || host.find_first_of(" /@") != std::string_view::npos
      || !port || *port < 0 || *port > 65535)
    return std::nullopt;
  return endpoint{std::string{host}, static_cast<uint16_t>(*port)};
}

std::string write_endpoint(const std::string& host, uint16_t port) {
  auto brackets = host.find(':') != std::string::npos;
  return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::vector<std::string> read_list(std::string_view text) {
  std::vector<std::string> result;
  while (!text.empty()) {
    auto comma = std::min(text.find(','), text.size());
    auto part = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    part.remove_prefix(std::min(part.find_first_not_of(' '), part.size()));
    part = part.substr(0, part.find_last_not_of(' ') + 1);
    if (!part.empty())
      result.emplace_back(part);
  }
  return result;
}

bool valid_nats_url(std::string_view url) {
  if (auto scheme = url.find("://"); scheme != std::string_view::npos) {
    if (auto name = url.substr(0, scheme); name != "nats" && name != "tls")
      return false;
    url.remove_prefix(scheme + 3);
  }
  if (auto at = url.rfind('@'); at != std::string_view::npos)
    url.remove_prefix(at + 1);
  if (url.ends_with('/'))
    url.remove_suffix(1);
  auto has_port = url.rfind(':') != std::string_view::npos
                  && !url.ends_with(']');
  auto address = read_endpoint(has_port ? std::string{url}
                                        : std::string{url} + ":4222");
  return address && address->port != 0;
}

bool valid_opensearch_url(std::string_view url) {
  auto tls = url.starts_with("https://");
  if (!tls && !url.starts_with("http://"))
    return false;
  url.remove_prefix(tls ? 8 : 7);
  if (url.find_first_of("@?# %") != std::string_view::npos)
    return false;
  auto authority = std::string{url.substr(0, url.find('/'))};
  auto has_port = authority.rfind(':') != std::string::npos
                  && !authority.ends_with(']');
  auto address = read_endpoint(has_port ? authority : authority + ":443");
  return address && address->port != 0;
}

bool valid_webhook_url(std::string_view url) {
  auto server = url.substr(0, std::min(url.find('/', 8), url.find('?')));
  return url.find_first_of("# ") == std::string_view::npos
         && valid_opensearch_url(server);
}

std::string hide_password(std::string_view url) {
  auto scheme = url.find("://");
  auto start = scheme == std::string_view::npos ? 0 : scheme + 3;
  auto at = url.rfind('@');
  if (at == std::string_view::npos || at < start)
    return std::string{url};
  auto colon = url.find(':', start);
  auto hidden = colon < at ? colon + 1 : start;
  return std::string{url.substr(0, hidden)} + "***"
         + std::string{url.substr(at)};
}

} // namespace aiops
