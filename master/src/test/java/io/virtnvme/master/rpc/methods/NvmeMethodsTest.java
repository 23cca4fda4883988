package io.virtnvme.master.rpc.methods;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.master.nvme.RepairOptions;
import io.virtnvme.master.registry.ConfigReader;
import io.virtnvme.master.registry.DesiredState;
import io.virtnvme.master.rpc.BdevKind;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.JsonText;
import io.virtnvme.master.rpc.NvmeErrorRule;
import io.virtnvme.master.rpc.NvmeSettings;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.master.rpc.RpcMethods;
import java.io.IOException;
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
  void shouldSetWhatIsGivenAndKeepTheRest() {
    assertTrue(
        call(
                "bdev_nvme_set_options",
                "{\"action_on_timeout\":\"reset\",\"timeout_us\":2000000,\"keep_alive_timeout_ms\":1}")
            .booleanValue());
    assertTrue(
        call(
                "bdev_nvme_set_options",
                "{\"transport_retry_count\":0,\"ctrlr_loss_timeout_sec\":-1,"
                    + "\"reconnect_delay_sec\":7,\"timeout_admin_us\":0}")
            .booleanValue());
    final NvmeSettings settings =
        new NvmeSettings(2_000_000, 0, NvmeSettings.TimeoutAction.RESET, 0, -1, 7);
    assertEquals(settings, controlPlane.nvme().settings());
    assertEquals(settings, desired.nvmeSettings());
    final RepairOptions repair = settings.repairOptions();
    assertEquals(2_000_000_000L, repair.commandNsMax());
    assertEquals(0, repair.abortsMax());
    assertEquals(Long.MAX_VALUE, repair.linkWaitNs());
    assertEquals(7_000_000_000L, repair.pauseNs());
    assertEquals(2_000_000_000L, settings.adminNsMax());
    // As a checkpoint, and as save_config, have it.
    final DesiredState again = new DesiredState();
    ConfigReader.calls(desired.config()).forEach(one -> again.apply(one.method(), one.params()));
    assertEquals(settings, again.nvmeSettings());
    final JsonNode config = call("framework_get_config", "{\"name\":\"bdev\"}");
    assertEquals("bdev_nvme_set_options", config.get(0).path("method").asText());
    assertEquals(6, config.get(0).path("params").size());
  }

  @Test
  void shouldRepairAsEverUnlessToldOtherwise() {
    assertEquals(RepairOptions.DEFAULT, NvmeSettings.DEFAULT.repairOptions());
    assertEquals(10_000_000_000L, NvmeSettings.DEFAULT.adminNsMax());
    call(
        "bdev_nvme_set_options",
        "{\"action_on_timeout\":\"none\",\"timeout_us\":0,\"timeout_admin_us\":0}");
    final NvmeSettings none = controlPlane.nvme().settings();
    assertEquals(0, none.repairOptions().commandNsMax());
    assertEquals(10_000_000_000L, none.adminNsMax(), "no admin command takes for ever");
    call("bdev_nvme_set_options", "{\"timeout_admin_us\":100000}");
    assertEquals(1_000_000_000L, controlPlane.nvme().settings().adminNsMax());
    call("bdev_nvme_set_options", "{\"timeout_admin_us\":3600000000}");
    assertEquals(60_000_000_000L, controlPlane.nvme().settings().adminNsMax());
  }

  @Test
  void shouldTakeTheOptionsThatSpdkWritesAndRefuseWhatCannotBeHad() {
    call(
        "bdev_nvme_set_options",
        "{\"action_on_timeout\":\"none\",\"timeout_us\":0,\"timeout_admin_us\":0,"
            + "\"keep_alive_timeout_ms\":10000,\"arbitration_burst\":0,"
            + "\"low_priority_weight\":0,\"medium_priority_weight\":0,"
            + "\"high_priority_weight\":0,\"nvme_adminq_poll_period_us\":10000,"
            + "\"nvme_ioq_poll_period_us\":0,\"io_queue_requests\":0,"
            + "\"delay_cmd_submit\":true,\"transport_retry_count\":4,"
            + "\"bdev_retry_count\":3,\"transport_ack_timeout\":0,"
            + "\"ctrlr_loss_timeout_sec\":0,\"reconnect_delay_sec\":0,"
            + "\"fast_io_fail_timeout_sec\":0,\"disable_auto_failback\":false,"
            + "\"generate_uuids\":false,\"transport_tos\":0,\"nvme_error_stat\":false,"
            + "\"rdma_srq_size\":0,\"io_path_stat\":false,"
            + "\"allow_accel_sequence\":false,\"rdma_max_cq_size\":0,"
            + "\"rdma_cm_event_timeout_ms\":0,\"dhchap_digests\":[\"sha256\"],"
            + "\"dhchap_dhgroups\":[\"null\"],\"rdma_umr_per_io\":false,"
            + "\"tcp_connect_timeout_ms\":0,\"enable_flush\":false}");
    for (final String params :
        List.of(
            "{\"action_on_timeout\":\"panic\"}",
            "{\"timeout_us\":-1}",
            "{\"timeout_us\":86400000001}",
            "{\"transport_retry_count\":256}",
            "{\"bdev_retry_count\":-1}",
            "{\"fast_io_fail_timeout_sec\":5}",
            "{\"arbitration_burst\":3}",
            "{\"ctrlr_loss_timeout_sec\":-2}",
            "{\"retry_count\":1}")) {
      assertEquals(
          RpcException.INVALID_PARAMS, refusal("bdev_nvme_set_options", params).code(), params);
    }
  }

  @Test
  void shouldMakeUpErrorsThatAreErrors() {
    call("bdev_nvme_attach_controller", ATTACH);
    final String read = "{\"name\":\"Nvme0\",\"cmd_type\":\"io\",\"opc\":2";
    assertTrue(
        call(
                "bdev_nvme_add_error_injection",
                read + ",\"err_count\":7,\"sct\":2,\"sc\":129,\"do_not_submit\":true}")
            .booleanValue());
    assertEquals(List.of(new NvmeErrorRule(2, false, 0x281, 7)), controlPlane.nvme().rules());
    assertTrue(call("bdev_nvme_remove_error_injection", read + "}").booleanValue());
    assertEquals(List.of(), controlPlane.nvme().rules());
    assertEquals(1, recorded.size(), "errors are no configuration: " + recorded);
    for (final String more :
        List.of(
            "}",
            ",\"sct\":0,\"sc\":0}",
            ",\"sct\":8,\"sc\":1}",
            ",\"sc\":256}",
            ",\"sc\":6,\"err_count\":0}",
            ",\"sc\":6,\"timeout_in_us\":1,\"do_not_submit\":true}")) {
      assertEquals(
          RpcException.INVALID_PARAMS,
          refusal("bdev_nvme_add_error_injection", read + more).code(),
          more);
    }
    final RpcException admin =
        refusal(
            "bdev_nvme_add_error_injection",
            "{\"name\":\"Nvme0\",\"cmd_type\":\"admin\",\"opc\":6,\"sc\":6}");
    assertTrue(admin.getMessage().contains("all its disks"), admin.getMessage());
  }

  @Test
  void shouldSplitANamespaceAndRecordItsParts() {
    call("bdev_nvme_attach_controller", ATTACH);
    final String split = "{\"base_bdev\":\"Nvme0n1\",\"split_count\":2,\"split_size_mb\":1}";
    assertEquals("[\"Nvme0n1p0\",\"Nvme0n1p1\"]", JsonText.line(call("bdev_split_create", split)));
    final List<BdevSpec> bdevs = desired.bdevs();
    assertEquals(
        List.of("Nvme0n1", "Nvme0n1p0", "Nvme0n1p1"), bdevs.stream().map(BdevSpec::name).toList());
    assertEquals(3, bdevs.stream().map(BdevSpec::uuid).distinct().count());
    assertEquals(4, bdevs.get(2).numBlocks());
    assertEquals(4, desired.nvme().get(0).parts().get(1).firstBlock());
    // As a checkpoint has it.
    final DesiredState again = new DesiredState();
    ConfigReader.calls(desired.config()).forEach(one -> again.apply(one.method(), one.params()));
    assertEquals(desired.nvme(), again.nvme());
    assertEquals(desired.bdevs(), again.bdevs());
    // As save_config has it: without what was found.
    final JsonNode config = call("framework_get_config", "{\"name\":\"bdev\"}");
    assertEquals("bdev_split_create", config.get(1).path("method").asText());
    assertEquals(split, JsonText.line(config.get(1).path("params")));
    assertTrue(call("bdev_split_delete", "{\"base_bdev\":\"Nvme0n1\"}").booleanValue());
    assertEquals(1, desired.bdevs().size());
    call("bdev_split_create", split);
    call("bdev_nvme_detach_controller", NAME);
    assertTrue(desired.bdevs().isEmpty());
    for (final String params :
        List.of("{\"base_bdev\":\"a\"}", "{\"base_bdev\":\"a\",\"split_count\":0}")) {
      assertEquals(
          RpcException.INVALID_PARAMS, refusal("bdev_split_create", params).code(), params);
    }
  }

  @Test
  void shouldReadLogPagesWithinBounds() throws IOException {
    call("bdev_nvme_attach_controller", ATTACH);
    final JsonNode page =
        call(
            "virtnvme_nvme_get_log_page",
            "{\"name\":\"Nvme0\",\"log_id\":192,\"nsid\":3,\"offset\":4,\"length\":8}");
    assertArrayEquals(
        new byte[] {(byte) 192, 3, 4, 0, 0, 0, 0, 0}, page.path("data").binaryValue());
    for (final String more :
        List.of(
            "",
            ",\"log_id\":256",
            ",\"log_id\":-1",
            ",\"log_id\":2,\"length\":0",
            ",\"log_id\":2,\"length\":10",
            ",\"log_id\":2,\"length\":65540",
            ",\"log_id\":2,\"offset\":2",
            ",\"log_id\":2,\"offset\":-4",
            ",\"log_id\":2,\"nsid\":4294967296",
            ",\"log_id\":2,\"lsp\":1")) {
      assertEquals(
          RpcException.INVALID_PARAMS,
          refusal("virtnvme_nvme_get_log_page", "{\"name\":\"Nvme0\"" + more + "}").code(),
          more);
    }
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
