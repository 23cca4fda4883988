package io.virtnvme.master.rpc.methods;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.master.registry.ConfigReader;
import io.virtnvme.master.registry.ConfigWriter;
import io.virtnvme.master.registry.DesiredState;
import io.virtnvme.master.rpc.JsonText;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.master.rpc.RpcMethods;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The calls as SPDK's rpc.py makes them, and what is left of them for the next master. */
@Timeout(30)
final class NvmfMethodsTest {
  private static final String NQN = "nqn.2024-01.org.virtnvme:disk1";
  private static final String UUID = "6f9619ff-8b86-d011-b42d-00c04fc964ff";

  private final FakeControlPlane controlPlane = new FakeControlPlane();
  private final List<String> recorded = new ArrayList<>();
  private final DesiredState desired = new DesiredState();
  private final RpcMethods methods = new RpcMethods("0.1.0");

  @BeforeEach
  void register() {
    new BdevMethods(controlPlane, this::append).register(methods);
    new NvmfMethods(controlPlane, this::append).register(methods);
    new FrameworkMethods(controlPlane).register(methods);
  }

  private CompletionStage<Void> append(final String method, final ObjectNode params) {
    desired.apply(method, params);
    recorded.add(method + " " + JsonText.line(params));
    return CompletableFuture.completedFuture(null);
  }

  private JsonNode call(final String method, final String params) {
    return methods.call(method, JsonText.parse(params)).toCompletableFuture().join();
  }

  private RpcException refusal(final String method, final String params) {
    final CompletionException failure =
        assertThrows(CompletionException.class, () -> call(method, params), params);
    return (RpcException) failure.getCause();
  }

  private void make() {
    call("bdev_malloc_create", "{\"name\":\"m\",\"num_blocks\":8,\"block_size\":512}");
    call("nvmf_create_transport", "{\"trtype\":\"VFIOUSER\"}");
    call(
        "nvmf_create_subsystem",
        "{\"nqn\":\""
            + NQN
            + "\",\"serial_number\":\"S1\",\"model_number\":\"virtnvme\",\"allow_any_host\":true,"
            + "\"max_namespaces\":4,\"ana_reporting\":false}");
    assertEquals(
        1,
        call(
                "nvmf_subsystem_add_ns",
                "{\"nqn\":\"" + NQN + "\",\"namespace\":{\"bdev_name\":\"m\"}}")
            .intValue());
    call(
        "nvmf_subsystem_add_listener",
        "{\"nqn\":\""
            + NQN
            + "\",\"listen_address\":{\"trtype\":\"vfiouser\",\"traddr\":\"/run/d/\","
            + "\"trsvcid\":\"0\"}}");
  }

  @Test
  void shouldShowASubsystemInSpdksForm() {
    make();
    final JsonNode shown = call("nvmf_get_subsystems", "{}");
    assertEquals(1, shown.size());
    final JsonNode subsystem = shown.get(0);
    assertEquals(NQN, subsystem.path("nqn").asText());
    assertEquals("NVMe", subsystem.path("subtype").asText());
    assertTrue(subsystem.path("allow_any_host").booleanValue());
    assertTrue(subsystem.path("hosts").isArray());
    assertEquals("S1", subsystem.path("serial_number").asText());
    assertEquals(4, subsystem.path("max_namespaces").intValue());
    assertEquals(1, subsystem.path("min_cntlid").intValue());
    assertEquals(65519, subsystem.path("max_cntlid").intValue());
    final JsonNode namespace = subsystem.path("namespaces").get(0);
    assertEquals(1, namespace.path("nsid").intValue());
    assertEquals("m", namespace.path("bdev_name").asText());
    assertEquals("m", namespace.path("name").asText());
    assertEquals(FakeNvmf.UUID_OF_BDEV.toString(), namespace.path("uuid").asText());
    final JsonNode address = subsystem.path("listen_addresses").get(0);
    assertEquals("VFIOUSER", address.path("trtype").asText());
    assertEquals("/run/d", address.path("traddr").asText());
    assertEquals(
        "/run/d",
        call("nvmf_subsystem_get_listeners", "{\"nqn\":\"" + NQN + "\"}")
            .get(0)
            .path("address")
            .path("traddr")
            .asText());
    assertEquals(0, call("nvmf_subsystem_get_controllers", "{\"nqn\":\"" + NQN + "\"}").size());
  }

  @Test
  void shouldRecordWhatMakesEverythingAgain() {
    make();
    final JsonNode config = call("framework_get_config", "{\"name\":\"nvmf\"}");
    assertEquals(
        List.of(
            "nvmf_create_transport",
            "nvmf_create_subsystem",
            "nvmf_subsystem_add_ns",
            "nvmf_subsystem_add_listener"),
        config.findValuesAsText("method"));
    // What the registry has, and what a file would bring, are the same.
    assertEquals(JsonText.line(config), JsonText.line(ConfigWriter.nvmfCalls(desired.nvmf())));
    final DesiredState again = new DesiredState();
    ConfigReader.calls(ConfigWriter.write(desired.bdevs(), desired.controllers(), desired.nvmf()))
        .forEach(one -> again.apply(one.method(), one.params()));
    assertEquals(desired.nvmf(), again.nvmf());
  }

  @Test
  void shouldForgetWhatWasTakenBack() {
    make();
    call("nvmf_subsystem_allow_any_host", "{\"nqn\":\"" + NQN + "\",\"allow_any_host\":false}");
    assertEquals(false, desired.nvmf().subsystems().get(0).spec().allowAnyHost());
    call("nvmf_subsystem_remove_ns", "{\"nqn\":\"" + NQN + "\",\"nsid\":1}");
    call(
        "nvmf_subsystem_remove_listener",
        "{\"nqn\":\""
            + NQN
            + "\",\"listen_address\":{\"trtype\":\"VFIOUSER\",\"traddr\":\"/run/d\"}}");
    assertTrue(desired.nvmf().subsystems().get(0).namespaces().isEmpty());
    assertTrue(desired.nvmf().subsystems().get(0).listeners().isEmpty());
    call("nvmf_delete_subsystem", "{\"nqn\":\"" + NQN + "\"}");
    assertTrue(desired.nvmf().subsystems().isEmpty());
    assertEquals(desired.nvmf(), controlPlane.nvmf().state());
  }

  @Test
  void shouldKeepIdentifiersAsTheyWereGiven() {
    make();
    call(
        "nvmf_subsystem_add_ns",
        "{\"nqn\":\""
            + NQN
            + "\",\"namespace\":{\"bdev_name\":\"m\",\"nsid\":3,\"uuid\":\""
            + UUID
            + "\",\"nguid\":\"ABCDEF0123456789ABCDEF0123456789\",\"eui64\":\"ABCDEF0123456789\"}}");
    final JsonNode namespace = call("nvmf_get_subsystems", "{}").get(0).path("namespaces").get(1);
    assertEquals(UUID, namespace.path("uuid").asText());
    assertEquals("ABCDEF0123456789ABCDEF0123456789", namespace.path("nguid").asText());
    assertEquals("ABCDEF0123456789", namespace.path("eui64").asText());
    // The registry's and a configuration's are the same, so a restart brings them back.
    assertEquals(controlPlane.nvmf().state(), desired.nvmf());
    final DesiredState again = new DesiredState();
    ConfigReader.calls(ConfigWriter.write(desired.bdevs(), desired.controllers(), desired.nvmf()))
        .forEach(one -> again.apply(one.method(), one.params()));
    assertEquals(desired.nvmf(), again.nvmf());
  }

  @Test
  void shouldTakeZeroesForNoIdentifier() {
    make();
    call(
        "nvmf_subsystem_add_ns",
        namespace(
            "\"bdev_name\":\"m\",\"nsid\":3,\"eui64\":\"0000000000000000\",\"nguid\":\"%032d\""
                .formatted(0)));
    final JsonNode shown = call("nvmf_get_subsystems", "{}").get(0).path("namespaces").get(1);
    assertEquals(shown.path("uuid").asText().replace("-", ""), shown.path("nguid").asText());
    assertTrue(shown.path("eui64").isMissingNode());
  }

  @Test
  void shouldRefuseOtherTransportsWithASentence() {
    final RpcException refused = refusal("nvmf_create_transport", "{\"trtype\":\"TCP\"}");
    assertEquals(RpcException.INVALID_PARAMS, refused.code());
    assertTrue(refused.getMessage().contains("'TCP'"), refused::getMessage);
    assertEquals(
        RpcException.INVALID_PARAMS, refusal("nvmf_get_transports", "{\"trtype\":\"TCP\"}").code());
  }

  @Test
  void shouldTakeLimitsBeyondOursForOurs() {
    call(
        "nvmf_create_transport",
        "{\"trtype\":\"VFIOUSER\",\"max_queue_depth\":4096,\"max_io_qpairs_per_ctrlr\":127,"
            + "\"in_capsule_data_size\":131072,\"masked_oncs\":\"none\"}");
    final JsonNode transport = call("nvmf_get_transports", "{}").get(0);
    assertEquals(1024, transport.path("max_queue_depth").intValue());
    assertEquals(64, transport.path("max_io_qpairs_per_ctrlr").intValue());
    assertEquals(
        RpcException.INTERNAL_ERROR,
        refusal("nvmf_create_transport", "{\"trtype\":\"VFIOUSER\"}").code());
  }

  @Test
  void shouldRefuseBadParametersWithTheirValues() {
    make();
    final String[][] bad = {
      {"nvmf_create_subsystem", "{}"},
      {"nvmf_create_subsystem", "{\"nqn\":\"disk\"}"},
      {"nvmf_create_subsystem", "{\"nqn\":\"nqn.2024-01.org\"}"},
      {"nvmf_create_subsystem", "{\"nqn\":\"nqn.2024-01.org:" + "x".repeat(223) + "\"}"},
      {"nvmf_create_subsystem", subsystem("\"serial_number\":\"" + "x".repeat(21) + "\"")},
      {"nvmf_create_subsystem", subsystem("\"serial_number\":\"\u00e4\"")},
      {"nvmf_create_subsystem", subsystem("\"model_number\":\"" + "x".repeat(41) + "\"")},
      {"nvmf_create_subsystem", subsystem("\"max_namespaces\":257")},
      {"nvmf_create_subsystem", subsystem("\"min_cntlid\":5,\"max_cntlid\":4")},
      {"nvmf_create_subsystem", subsystem("\"min_cntlid\":0")},
      {"nvmf_create_subsystem", subsystem("\"ana_reporting\":true")},
      {"nvmf_create_subsystem", subsystem("\"passthrough\":true")},
      {"nvmf_create_subsystem", subsystem("\"nonsense\":1")},
      {"nvmf_subsystem_add_ns", "{\"nqn\":\"" + NQN + "\"}"},
      {"nvmf_subsystem_add_ns", namespace("\"nsid\":1")},
      {"nvmf_subsystem_add_ns", namespace("\"bdev_name\":\"m\",\"nsid\":-1")},
      {"nvmf_subsystem_add_ns", namespace("\"bdev_name\":\"m\",\"nguid\":\"12\"")},
      {"nvmf_subsystem_add_ns", namespace("\"bdev_name\":\"m\",\"eui64\":\"xxxxxxxxxxxxxxxx\"")},
      {"nvmf_subsystem_add_ns", namespace("\"bdev_name\":\"m\",\"uuid\":\"1\"")},
      {"nvmf_subsystem_add_ns", namespace("\"bdev_name\":\"m\",\"ptpl_file\":\"/f\"")},
      {"nvmf_subsystem_add_ns", namespace("\"bdev_name\":\"m\",\"no_auto_visible\":true")},
      {"nvmf_subsystem_add_ns", namespace("\"bdev_name\":\"m\",\"other\":1")},
      {"nvmf_subsystem_add_listener", address("\"trtype\":\"TCP\",\"traddr\":\"/x\"")},
      {"nvmf_subsystem_add_listener", address("\"trtype\":\"VFIOUSER\",\"traddr\":\"x\"")},
      {"nvmf_subsystem_add_listener", address("\"trtype\":\"VFIOUSER\"")},
      {"nvmf_subsystem_remove_ns", "{\"nqn\":\"" + NQN + "\",\"nsid\":0}"},
      {"nvmf_subsystem_allow_any_host", "{\"nqn\":\"" + NQN + "\"}"},
      {"nvmf_delete_subsystem", "{\"nqn\":\"nqn.2024-01.org:other\"}"},
      {"nvmf_get_subsystems", "{\"nqn\":\"nqn.2024-01.org:other\"}"},
      {"nvmf_subsystem_get_controllers", "{\"nqn\":\"nqn.2024-01.org:other\"}"},
    };
    final int before = recorded.size();
    for (final String[] one : bad) {
      final RpcException refused = refusal(one[0], one[1]);
      assertEquals(RpcException.INVALID_PARAMS, refused.code(), one[0] + one[1]);
      assertTrue(refused.getMessage().length() > 20, refused::getMessage);
    }
    assertEquals(before, recorded.size());
  }

  private static String subsystem(final String more) {
    return "{\"nqn\":\"nqn.2024-01.org.virtnvme:other\"," + more + "}";
  }

  private static String namespace(final String members) {
    return "{\"nqn\":\"" + NQN + "\",\"namespace\":{" + members + "}}";
  }

  private static String address(final String members) {
    return "{\"nqn\":\"" + NQN + "\",\"listen_address\":{" + members + "}}";
  }
}
