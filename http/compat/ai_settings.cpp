#include "http/compat/ai_settings.hpp"

#include "base/log.hpp"
#include "json/reader.hpp"

#include <nlohmann/json.hpp>

#include <cctype>
#include <utility>

namespace aiops::http {

namespace {

using nlohmann::json;

bool names_secret(std::string_view key) {
  std::string plain;
  for (unsigned char c : key)
    if (std::isalnum(c))
      plain += static_cast<char>(std::tolower(c));
  return plain.find("secretkey") != std::string::npos;
}

void remove_secrets(json& x) {
  if (x.is_object())
    for (auto i = x.begin(); i != x.end();)
      i = names_secret(i.key()) ? x.erase(i) : std::next(i);
  if (x.is_structured())
    for (auto& inner : x)
      remove_secrets(inner);
}

} // namespace

caf::expected<std::string> load_ai_settings(const std::filesystem::path& file) {
  auto unusable = [&](const caf::error& why) {
    return make_error(ec::invalid_configuration,
                      "cannot use '" + file.string() + "': " + text_of(why));
  };
  auto text = read_small_file(file);
  if (!text)
    return unusable(text.error());
  auto object = read_object(*text, "the file");
  if (!object)
    return unusable(object.error());
  remove_secrets(*object);
  return object->dump();
}

ai_settings_actor::behavior_type
ai_settings_state::make_behavior(std::filesystem::path file) {
  file_ = std::move(file);
  if (file_.empty())
    settings_ = "{}";
  return {
    [this](get_atom) { return get(); },
  };
}

caf::result<std::string> ai_settings_state::get() {
  if (!file_.empty()) {
    auto now = stamp_of(file_);
    if (stamp_ != now) {
      stamp_ = now;
      auto got = load_ai_settings(file_);
      problem_ = got ? caf::error{} : got.error();
      if (got)
        settings_ = std::move(*got);
      else
        log::warning(name, "uses the last valid settings",
                     {{"reason", text_of(problem_)}});
    }
  }
  if (!settings_)
    return problem_;
  return *settings_;
}

ai_settings_actor::behavior_type
ai_settings(ai_settings_actor::stateful_pointer<ai_settings_state> self,
            std::filesystem::path file) {
  return self->state.make_behavior(std::move(file));
}

} // namespace aiops::http
