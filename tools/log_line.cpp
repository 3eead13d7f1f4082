#include "tools/log_line.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace aiops::tools {

namespace {

using nlohmann::json;

/// The text at a dotted path; null when there is none.
const std::string* text_at(const json& from, std::string_view path) {
  auto here = &from;
  for (auto dot = size_t{0}; dot != std::string_view::npos;) {
    if (!here->is_object())
      return nullptr;
    dot = path.find('.');
    auto member = here->find(path.substr(0, dot));
    if (member == here->end())
      return nullptr;
    here = &*member;
    path.remove_prefix(std::min(path.size(), dot + 1));
  }
  return here->get_ptr<const std::string*>();
}

std::string find_name(const json& line, const name_source& source) {
  if (!source.fixed.empty())
    return source.fixed;
  for (const auto& field : source.fields)
    if (auto text = text_at(line, field); text && valid_name(*text))
      return *text;
  return {};
}

bool complete(const workload& x) {
  return !x.cluster_id.empty() && !x.namespace_name.empty()
         && !x.deployment.empty();
}

} // namespace

std::optional<workload> owner_of(std::string_view line,
                                 const name_sources& sources) {
  auto result = workload{sources.cluster.fixed, sources.namespace_name.fixed,
                         sources.deployment.fixed};
  if (complete(result))
    return result;
  auto fields = json::parse(line, nullptr, false);
  result = {find_name(fields, sources.cluster),
            find_name(fields, sources.namespace_name),
            find_name(fields, sources.deployment)};
  if (complete(result))
    return result;
  return std::nullopt;
}

void line_splitter::append(std::string_view bytes) {
  auto room = max_line - line_.size();
  overlong_ = overlong_ || bytes.size() > room;
  line_.append(bytes.substr(0, room));
}

} // namespace aiops::tools
