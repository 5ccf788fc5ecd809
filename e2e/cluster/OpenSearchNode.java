import java.util.concurrent.CountDownLatch;
import org.codelibs.opensearch.runner.OpenSearchRunner;

/** One real OpenSearch node on 127.0.0.1, until it is told to end. Arguments: HTTP port (0: any, written to logs/http.ports), data folder, cluster name. */
public class OpenSearchNode {
    public static void main(String[] args) throws Exception {
        OpenSearchRunner runner = new OpenSearchRunner();
        runner.setMaxHttpPort(-1); // no ceiling of its own: the port is ours to choose
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                runner.close();
            } catch (Exception e) {
                e.printStackTrace();
            }
        }));
        runner.onBuild((number, settings) -> {
            settings.put("http.port", args[0]);
            settings.put("transport.port", "0"); // the default is derived from the HTTP port, so that two nodes could collide
            settings.put("node.portsfile", true);
            settings.put("network.host", "127.0.0.1");
            settings.put("discovery.type", "single-node");
            settings.put("cluster.routing.allocation.disk.threshold_enabled", false);
            settings.putList("node.roles", "cluster_manager", "data", "ingest");
        });
        runner.build(OpenSearchRunner.newConfigs().basePath(args[1]).numOfNode(1).clusterName(args[2]));
        new CountDownLatch(1).await();
    }
}
