import org.codelibs.opensearch.runner.OpenSearchRunner;

/** One node on free ports of the loopback interface, until it is killed. */
public class Node {
  public static void main(String[] args) throws Exception {
    OpenSearchRunner runner = new OpenSearchRunner();
    runner.onBuild((number, settings) -> {
      settings.put("network.host", "127.0.0.1");
      settings.put("http.port", "0");
      settings.put("transport.port", "0");
      settings.put("discovery.type", "single-node");
      // A test must not depend on how full the disk is.
      settings.put("cluster.routing.allocation.disk.threshold_enabled",
                   "false");
    });
    runner.build(OpenSearchRunner.newConfigs()
                     .basePath(args[0])
                     .numOfNode(1)
                     .clusterName("aiops-gateway-test"));
    Thread.currentThread().join();
  }
}
