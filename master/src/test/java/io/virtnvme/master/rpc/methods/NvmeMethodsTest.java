package io.virtnvme.master.rpc.methods;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.master.registry.ConfigReader;
import io.virtnvme.master.registry.DesiredState;
import io.virtnvme.master.rpc.BdevKind;
import io.virtnvme.master.rpc.BdevSpec;
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
final class NvmeMethodsTest {
  private static final String ATTACH =
      "{\"name\":\"Nvme0\",\"trtype\":\"pcie\",\"traddr\":\"5E:00.0\",\"multipath\":\"disable\"}";
  private static final String NAME = "{\"name\":\"Nvme0\"}";

  private final FakeControlPlane controlPlane = new FakeControlPlane();
  private final List<String> recorded = new ArrayList<>();
  private final DesiredState desired = new DesiredState();
  private final RpcMethods methods = new RpcMethods("0.1.0");

  @BeforeEach
  void register() {
    new NvmeMethods(controlPlane.nvme(), this::append).register(methods);
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

  @Test
  void shouldAnswerInSpdksForms() {
    assertEquals("[\"Nvme0n1\"]", JsonText.line(call("bdev_nvme_attach_controller", ATTACH)));
    final JsonNode shown = call("bdev_nvme_get_controllers", NAME).get(0);
    assertEquals("Nvme0", shown.path("name").asText());
    final JsonNode controller = shown.path("ctrlrs").get(0);
    assertEquals("enabled", controller.path("state").asText());
    assertEquals("PCIe", controller.path("trid").path("trtype").asText());
    assertEquals("0000:5e:00.0", controller.path("trid").path("traddr").asText());
    assertEquals(5, controller.path("cntlid").intValue());
    assertTrue(call("bdev_nvme_reset_controller", NAME).booleanValue());
    final JsonNode health = call("bdev_nvme_get_controller_health_info", NAME);
    assertEquals("S1", health.path("serial_number").asText());
    assertEquals(27, health.path("temperature_celsius").intValue());
    assertEquals(FakeNvme.UNITS_READ, health.path("data_units_read").bigIntegerValue());
    assertTrue(
        call("bdev_nvme_detach_controller", "{\"name\":\"Nvme0\",\"trtype\":\"PCIe\"}")
            .booleanValue());
    assertEquals(0, call("bdev_nvme_get_controllers", "{}").size());
  }

  @Test
  void shouldRefuseWhatItDoesNotKnow() {
    call("bdev_nvme_attach_controller", ATTACH);
    for (final String params :
        List.of(
            "{\"trtype\":\"PCIe\",\"traddr\":\"5e:00.0\"}",
            "{\"name\":\"a\",\"traddr\":\"5e:00.0\"}",
            "{\"name\":\"a\",\"trtype\":\"TCP\",\"traddr\":\"5e:00.0\"}",
            "{\"name\":\"a\",\"trtype\":\"PCIe\",\"traddr\":\"/dev/nvme0\"}",
            "{\"name\":\"a/b\",\"trtype\":\"PCIe\",\"traddr\":\"5e:00.0\"}",
            "{\"name\":\"a\",\"trtype\":\"PCIe\",\"traddr\":\"5e:00.0\",\"hdgst\":true}",
            "{\"name\":\"a\",\"trtype\":\"PCIe\",\"traddr\":\"5e:00.0\",\"namespaces\":[]}")) {
      assertEquals(
          RpcException.INVALID_PARAMS,
          refusal("bdev_nvme_attach_controller", params).code(),
          params);
    }
    assertEquals(
        RpcException.ENODEV,
        refusal("bdev_nvme_detach_controller", "{\"name\":\"Nvme0\",\"traddr\":\"0000:00:01.0\"}")
            .code());
    for (final String method :
        List.of(
            "bdev_nvme_detach_controller",
            "bdev_nvme_get_controllers",
            "bdev_nvme_reset_controller",
            "bdev_nvme_get_controller_health_info",
            "virtnvme_nvme_identify_controller")) {
      final RpcException refused = refusal(method, "{\"name\":\"none\"}");
      assertEquals(RpcException.ENODEV, refused.code(), method);
      assertTrue(refused.getMessage().contains("none"), refused.getMessage());
    }
  }

  @Test
  void shouldRecordADeviceWithItsBdevs() {
    call("bdev_nvme_attach_controller", ATTACH);
    assertEquals(1, desired.nvme().size());
    assertTrue(desired.nvme().get(0).wasKernels());
    final BdevSpec bdev = desired.bdevs().get(0);
    assertEquals("Nvme0n1", bdev.name());
    assertEquals(BdevKind.NVME, bdev.kind());
    assertEquals("Nvme0", bdev.filename());
    assertEquals(FakeNvme.NAMESPACE_UUID, bdev.uuid());
    desired.apply(
        "bdev_set_qos_limit", JsonText.parse("{\"name\":\"Nvme0n1\",\"rw_ios_per_sec\":7}"));
    // As a checkpoint has it.
    final DesiredState again = new DesiredState();
    ConfigReader.calls(desired.config()).forEach(one -> again.apply(one.method(), one.params()));
    assertEquals(desired.nvme(), again.nvme());
    assertEquals(desired.bdevs(), again.bdevs());
    call("bdev_nvme_detach_controller", NAME);
    assertTrue(desired.nvme().isEmpty());
    assertTrue(desired.bdevs().isEmpty());
  }

  @Test
  void shouldWriteAConfigurationThatAttachesItAgain() {
    call("bdev_nvme_attach_controller", ATTACH);
    final JsonNode config = call("framework_get_config", "{\"name\":\"bdev\"}");
    assertEquals(List.of("bdev_nvme_attach_controller"), config.findValuesAsText("method"));
    final String params = JsonText.line(config.get(0).path("params"));
    assertEquals("{\"name\":\"Nvme0\",\"trtype\":\"PCIe\",\"traddr\":\"0000:5e:00.0\"}", params);
    assertEquals(RpcException.EEXIST, refusal("bdev_nvme_attach_controller", params).code());
  }
}
