#include "host/demo.hpp"

#include <filesystem>

namespace aiops::host {

std::vector<std::unique_ptr<child_process>>
start_demo(const gateway_config& config, const std::string& address) {
  std::error_code error;
  auto here
    = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  auto program = [&](const char* name) { return (here / name).string(); };
  std::vector<std::string> nats_arguments;
  if (config.nats.embedded())
    nats_arguments = {"--state-dir", config.state_dir.string()};
  for (auto& url : config.nats.urls)
    nats_arguments.insert(nats_arguments.end(), {"--nats-url", url});
  auto start = [&](const char* name, std::vector<std::string> args) {
    args.insert(args.begin(), program(name));
    args.insert(args.end(), nats_arguments.begin(), nats_arguments.end());
    return std::make_unique<child_process>(
      child_process::config{name, std::move(args), {}});
  };
  std::filesystem::create_directories(config.state_dir, error);
  auto state_file = config.state_dir / "training_sim.json";
  std::vector<std::unique_ptr<child_process>> result;
  result.push_back(
    start("training_sim",
          {"--gateway-url", "http://" + address, "--state-file",
           state_file.string(), "--backend-protocol",
           config.protocol == backend_protocol::kv ? "kv" : "request-reply"}));
  result.push_back(start("log_feed", {"--demo"}));
  return result;
}

} // namespace aiops::host
