package io.virtnvme.master.rpc.methods;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.ipc.relay.BdevLimits;
import io.virtnvme.master.registry.ConfigException;
import io.virtnvme.master.registry.ConfigReader;
import io.virtnvme.master.registry.DesiredState;
import io.virtnvme.master.rpc.BdevInfo;
import io.virtnvme.master.rpc.BdevMethod;
import io.virtnvme.master.rpc.BdevMigration;
import io.virtnvme.master.rpc.JsonText;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.master.rpc.RpcMethods;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
final class RpcMethodsTest {
  private static final String UUID = "6f9619ff-8b86-d011-b42d-00c04fc964ff";

  private final FakeControlPlane controlPlane = new FakeControlPlane();
  private final List<String> recorded = new ArrayList<>();
  private final DesiredState desired = new DesiredState();
  private final RpcMethods methods = new RpcMethods("0.1.0");

  @BeforeEach
  void register() {
    register(methods, this::append);
  }

  private void register(final RpcMethods target, final ChangeLog changes) {
    new BdevMethods(controlPlane, changes).register(target);
    new VhostMethods(controlPlane, changes).register(target);
    new FrameworkMethods(controlPlane).register(target);
    new VirtnvmeMethods(
            controlPlane,
            count ->
                CompletableFuture.completedFuture(
                    List.of(JsonText.parse("{\"asked\":" + count + "}"))))
        .register(target);
  }

  private CompletionStage<Void> append(final String method, final ObjectNode params) {
    desired.apply(method, params);
    recorded.add(method + " " + JsonText.line(params));
    return CompletableFuture.completedFuture(null);
  }

  private static JsonNode call(final RpcMethods target, final String method, final String params) {
    return target.call(method, JsonText.parse(params)).toCompletableFuture().join();
  }

  private JsonNode call(final String method, final String params) {
    return call(methods, method, params);
  }

  private RpcException refusal(final String method, final String params) {
    final CompletionException failure =
        assertThrows(CompletionException.class, () -> call(method, params));
    return (RpcException) failure.getCause();
  }

  @Test
  void shouldCreateEveryKindOfBdevAndRecordIt() {
    assertEquals(
        "\"Malloc0\"",
        JsonText.line(
            call(
                "bdev_malloc_create",
                "{\"num_blocks\":8.0,\"block_size\":512,\"md_interleave\":false,"
                    + "\"dif_is_head_of_md\":false,\"uuid\":\""
                    + UUID
                    + "\"}")));
    call("bdev_malloc_create", "{\"num_blocks\":8,\"block_size\":512}");
    call("bdev_uring_create", "{\"name\":\"u\",\"filename\":\"/f\"}");
    call(
        "bdev_aio_create",
        "{\"name\":\"a\",\"filename\":\"/f\",\"block_size\":512,\"readonly\":true,"
            + "\"fallocate\":false,\"nowait\":false}");
    call(
        "bdev_null_create",
        "{\"name\":\"n\",\"num_blocks\":8,\"block_size\":4096,\"dif_is_head_of_md\":false}");
    assertEquals(
        List.of("Malloc0", "Malloc1", "u", "a", "n"),
        controlPlane.bdevs().stream().map(bdev -> bdev.spec().name()).toList());
    assertEquals(
        "bdev_malloc_create {\"name\":\"Malloc0\",\"block_size\":512,\"num_blocks\":8,\"uuid\":\""
            + UUID
            + "\"}",
        recorded.get(0));
    assertTrue(recorded.get(2).contains("\"block_size\":4096"), recorded.get(2));
    assertEquals(
        controlPlane.bdevs().stream().map(BdevInfo::spec).map(s -> s.name() + s.uuid()).toList(),
        desired.bdevs().stream().map(s -> s.name() + s.uuid()).toList());
  }

  @Test
  void shouldNotRecordWhatFailed() {
    call("bdev_null_create", "{\"name\":\"n\",\"num_blocks\":8,\"block_size\":512}");
    assertEquals(
        RpcException.EEXIST,
        refusal("bdev_null_create", "{\"name\":\"n\",\"num_blocks\":8,\"block_size\":512}").code());
    assertEquals(RpcException.ENODEV, refusal("bdev_malloc_delete", "{\"name\":\"n\"}").code());
    assertEquals(1, recorded.size());
  }

  @Test
  void shouldSayWhatWasNotRecorded() {
    final RpcMethods unrecorded = new RpcMethods("0.1.0");
    register(
        unrecorded,
        (method, params) ->
            CompletableFuture.failedFuture(new RpcException(RpcException.EIO, "not recorded")));
    final CompletionException failure =
        assertThrows(
            CompletionException.class,
            () ->
                call(
                    unrecorded,
                    "bdev_null_create",
                    "{\"name\":\"n\",\"num_blocks\":8,\"block_size\":512}"));
    assertEquals(RpcException.EIO, ((RpcException) failure.getCause()).code());
    assertEquals(1, controlPlane.bdevs().size());
  }

  @Test
  void shouldRefuseBdevsThatCannotBe() {
    for (final String params :
        List.of(
            "{\"num_blocks\":8}",
            "{\"num_blocks\":0,\"block_size\":512}",
            "{\"num_blocks\":8,\"block_size\":513}",
            "{\"num_blocks\":8,\"block_size\":1536}",
            "{\"num_blocks\":8,\"block_size\":131072}",
            "{\"num_blocks\":9223372036854775807,\"block_size\":512}",
            "{\"num_blocks\":8,\"block_size\":512,\"name\":\"../x\"}",
            "{\"num_blocks\":8,\"block_size\":512,\"md_size\":8}",
            "{\"num_blocks\":8,\"block_size\":512,\"dif_is_head_of_md\":true}",
            "{\"num_blocks\":8,\"block_size\":512,\"physical_block_size\":4096}",
            "{\"num_blocks\":8,\"block_size\":512,\"filename\":\"/x\"}")) {
      assertEquals(
          RpcException.INVALID_PARAMS, refusal("bdev_malloc_create", params).code(), params);
    }
    assertEquals(
        RpcException.INVALID_PARAMS,
        refusal("bdev_uring_create", "{\"name\":\"u\",\"filename\":\"relative\"}").code());
    assertTrue(controlPlane.bdevs().isEmpty());
  }

  @Test
  void shouldListBdevsInSpdksShape() {
    call("bdev_aio_create", "{\"name\":\"a\",\"filename\":\"/f\",\"readonly\":true}");
    call(
        "bdev_malloc_create",
        "{\"name\":\"m\",\"num_blocks\":8,\"block_size\":512,\"uuid\":\"" + UUID + "\"}");
    assertEquals(2, call("bdev_get_bdevs", "{}").size());
    final JsonNode file = call("bdev_get_bdevs", "{\"name\":\"a\"}").get(0);
    assertEquals("AIO disk", file.path("product_name").asText());
    assertEquals("/f", file.path("driver_specific").path("aio").path("filename").asText());
    assertFalse(file.path("supported_io_types").path("write").asBoolean());
    assertTrue(file.path("supported_io_types").path("read").asBoolean());
    final JsonNode memory = call("bdev_get_bdevs", "{\"name\":\"" + UUID + "\"}").get(0);
    assertEquals("m", memory.path("name").asText());
    assertEquals(8, memory.path("num_blocks").asInt());
    assertFalse(memory.path("claimed").asBoolean());
    assertEquals(RpcException.ENODEV, refusal("bdev_get_bdevs", "{\"name\":\"x\"}").code());
  }

  @Test
  void shouldWaitForABdevToAppear() {
    final CompletableFuture<JsonNode> waiting =
        methods
            .call("bdev_get_bdevs", JsonText.parse("{\"name\":\"n\",\"timeout\":20000}"))
            .toCompletableFuture();
    assertFalse(waiting.isDone());
    call("bdev_null_create", "{\"name\":\"n\",\"num_blocks\":8,\"block_size\":512}");
    assertEquals("n", waiting.join().get(0).path("name").asText());
    assertEquals(
        RpcException.ENODEV,
        refusal("bdev_get_bdevs", "{\"name\":\"other\",\"timeout\":10}").code());
  }

  @Test
  void shouldResizeAndRecordTheNewLength() {
    call("bdev_null_create", "{\"name\":\"n\",\"num_blocks\":8,\"block_size\":4096}");
    call("bdev_malloc_create", "{\"name\":\"m\",\"num_blocks\":8,\"block_size\":512}");
    call("bdev_uring_create", "{\"name\":\"u\",\"filename\":\"/f\"}");
    assertTrue(call("bdev_null_resize", "{\"name\":\"n\",\"new_size\":2}").asBoolean());
    assertTrue(call("virtnvme_bdev_resize", "{\"name\":\"m\",\"num_blocks\":16}").asBoolean());
    assertTrue(call("bdev_uring_rescan", "{\"name\":\"u\"}").asBoolean());
    assertEquals(
        List.of(512L, 16L, 0L), desired.bdevs().stream().map(bdev -> bdev.numBlocks()).toList());
    assertEquals(
        RpcException.EINVAL, refusal("bdev_null_resize", "{\"name\":\"m\",\"new_size\":1}").code());
    assertEquals(
        RpcException.EINVAL,
        refusal("virtnvme_bdev_resize", "{\"name\":\"u\",\"num_blocks\":9}").code());
    assertEquals(
        RpcException.INVALID_PARAMS,
        refusal("virtnvme_bdev_resize", "{\"name\":\"m\",\"num_blocks\":9,\"new_size\":1}").code());
    final String saved = JsonText.line(call("framework_get_config", "{\"name\":\"bdev\"}"));
    assertTrue(saved.contains("\"num_blocks\":512") && saved.contains("\"num_blocks\":16"), saved);
  }

  @Test
  void shouldSetLimitsAndKeepThem() {
    call("bdev_null_create", "{\"name\":\"n\",\"num_blocks\":8,\"block_size\":512}");
    assertTrue(
        call(
                "bdev_set_qos_limit",
                "{\"name\":\"n\",\"rw_ios_per_sec\":20000,\"w_mbytes_per_sec\":10}")
            .asBoolean());
    call("bdev_set_qos_limit", "{\"name\":\"n\",\"rw_ios_per_sec\":0,\"r_mbytes_per_sec\":30}");
    final JsonNode limits =
        call("bdev_get_bdevs", "{\"name\":\"n\"}").path(0).path("assigned_rate_limits");
    assertEquals(
        "{\"rw_ios_per_sec\":0,\"rw_mbytes_per_sec\":0,\"r_mbytes_per_sec\":30,"
            + "\"w_mbytes_per_sec\":10}",
        JsonText.line(limits));
    assertEquals(new BdevLimits(0, 0, 30, 10), desired.bdevs().get(0).limits());
    final String saved = JsonText.line(call("framework_get_config", "{\"name\":\"bdev\"}"));
    assertTrue(saved.contains("bdev_set_qos_limit") && saved.contains("\"r_mbytes_per_sec\":30"));
    call("bdev_set_qos_limit", "{\"name\":\"n\",\"r_mbytes_per_sec\":0,\"w_mbytes_per_sec\":0}");
    assertFalse(JsonText.line(call("framework_get_config", "{\"name\":\"bdev\"}")).contains("qos"));
  }

  @Test
  void shouldStartAndStopDirtyTrackingAndKeepItOutOfTheConfiguration() {
    call("bdev_malloc_create", "{\"name\":\"m\",\"num_blocks\":8,\"block_size\":512}");
    assertEquals(
        "{\"path\":\"/dirty-m\",\"grain_kib\":64}",
        JsonText.line(call("virtnvme_start_dirty_tracking", "{\"name\":\"m\"}")));
    assertEquals(16, desired.bdevs().get(0).dirtyGrainShift());
    final String saved = JsonText.line(call("framework_get_config", "{\"name\":\"bdev\"}"));
    assertFalse(saved.contains("dirty"), saved);
    call("virtnvme_stop_dirty_tracking", "{\"name\":\"m\"}");
    assertEquals(0, desired.bdevs().get(0).dirtyGrainShift());
    for (final String bad : List.of("3", "2", "0", "2097152", "-4", "\"64\"")) {
      assertEquals(
          RpcException.INVALID_PARAMS,
          refusal("virtnvme_start_dirty_tracking", "{\"name\":\"m\",\"grain_kib\":" + bad + "}")
              .code(),
          bad);
    }
    assertEquals(
        RpcException.ENODEV, refusal("virtnvme_start_dirty_tracking", "{\"name\":\"x\"}").code());
  }

  @Test
  void shouldRecordWhereADiskStandsAndLetGuestsInOnlyAfterwards() {
    call("bdev_malloc_create", "{\"name\":\"m\",\"num_blocks\":8,\"block_size\":512}");
    final String source = "00000000-0000-0001-0000-000000000002";
    for (final String state : List.of("receiving", "prepared", "owned", "moved")) {
      call(
          "virtnvme_bdev_set_migration",
          "{\"name\":\"m\",\"state\":\""
              + state
              + "\",\"source\":\""
              + source
              + "\",\"peer\":\"h:1\",\"hold\":7}");
      assertEquals(
          "{\"state\":\"" + state + "\",\"source\":\"" + source + "\",\"peer\":\"h:1\"}",
          JsonText.line(
              call("bdev_get_bdevs", "{\"name\":\"m\"}")
                  .path(0)
                  .path("driver_specific")
                  .path("virtnvme")
                  .path("migration")));
      assertEquals(
          state, desired.bdevs().get(0).migration().state().name().toLowerCase(Locale.ROOT));
    }
    assertEquals(List.of("m"), controlPlane.served());
    call("virtnvme_bdev_set_migration", "{\"name\":\"m\",\"state\":\"none\"}");
    assertEquals(BdevMigration.NONE, desired.bdevs().get(0).migration());
    assertEquals(
        "{\"hold\":5}",
        JsonText.line(call("virtnvme_bdev_hold", "{\"name\":\"m\",\"limit_ms\":5}")));
    call("virtnvme_bdev_release", "{\"name\":\"m\",\"hold\":5}");
    for (final String bad :
        List.of(
            "{\"name\":\"m\"}",
            "{\"name\":\"m\",\"state\":\"gone\"}",
            "{\"name\":\"m\",\"state\":\"moved\"}",
            "{\"name\":\"m\",\"state\":\"moved\",\"source\":\"7\"}",
            "{\"name\":\"m\",\"state\":\"none\",\"hold\":0}")) {
      assertEquals(
          RpcException.INVALID_PARAMS, refusal("virtnvme_bdev_set_migration", bad).code(), bad);
    }
    for (final String bad : List.of("0", "10001", "-1", "\"5\"")) {
      assertEquals(
          RpcException.INVALID_PARAMS,
          refusal("virtnvme_bdev_hold", "{\"name\":\"m\",\"limit_ms\":" + bad + "}").code());
    }
  }

  @Test
  void shouldSaveTheStepsThatLeadADiskToWhereItStands() {
    call("bdev_malloc_create", "{\"name\":\"m\",\"num_blocks\":8,\"block_size\":512}");
    assertEquals(List.of(), savedStates());
    final Map<String, List<String>> steps =
        Map.of(
            "receiving", List.of("receiving"),
            "prepared", List.of("receiving", "prepared"),
            "owned", List.of("receiving", "prepared", "owned"),
            "moved", List.of("moved"),
            "none", List.of());
    steps.forEach(
        (state, saved) -> {
          call(
              "virtnvme_bdev_set_migration",
              "{\"name\":\"m\",\"state\":\""
                  + state
                  + "\",\"source\":\"00000000-0000-0001-0000-000000000002\",\"peer\":\"h:1\"}");
          assertEquals(saved, savedStates());
        });
  }

  private List<String> savedStates() {
    final List<String> states = new ArrayList<>();
    for (final JsonNode saved : call("framework_get_config", "{\"name\":\"bdev\"}")) {
      if (saved.path("method").asText().equals("virtnvme_bdev_set_migration")) {
        assertEquals("m", saved.path("params").path("name").asText());
        states.add(saved.path("params").path("state").asText());
      }
    }
    return states;
  }

  @Test
  void shouldThrottleForAMomentAndRecordNothing() {
    call("bdev_null_create", "{\"name\":\"n\",\"num_blocks\":8,\"block_size\":512}");
    final int recordedCount = recorded.size();
    call("virtnvme_bdev_throttle", "{\"name\":\"n\",\"w_mbytes_per_sec\":3,\"limit_ms\":60000}");
    assertEquals(List.of("n 3 60000"), controlPlane.throttles());
    for (final String bad :
        List.of(
            "{\"name\":\"n\",\"limit_ms\":5}",
            "{\"name\":\"n\",\"w_mbytes_per_sec\":3}",
            "{\"name\":\"n\",\"w_mbytes_per_sec\":3,\"limit_ms\":0}",
            "{\"name\":\"n\",\"w_mbytes_per_sec\":-3,\"limit_ms\":5}",
            "{\"name\":\"n\",\"w_mbytes_per_sec\":3,\"limit_ms\":60001}")) {
      assertEquals(RpcException.INVALID_PARAMS, refusal("virtnvme_bdev_throttle", bad).code(), bad);
    }
    assertEquals(recordedCount, recorded.size());
    assertEquals(1, controlPlane.throttles().size());
  }

  @Test
  void shouldRefuseLimitsThatMakeNoSense() {
    call("bdev_null_create", "{\"name\":\"n\",\"num_blocks\":8,\"block_size\":512}");
    for (final String bad :
        List.of(
            "{\"name\":\"n\"}",
            "{\"name\":\"n\",\"rw_ios_per_sec\":-1}",
            "{\"name\":\"n\",\"rw_ios_per_sec\":1000000001}",
            "{\"name\":\"n\",\"rw_ios_per_sec\":\"many\"}",
            "{\"name\":\"n\",\"ios\":1}")) {
      assertEquals(RpcException.INVALID_PARAMS, refusal("bdev_set_qos_limit", bad).code(), bad);
    }
    assertEquals(
        RpcException.ENODEV,
        refusal("bdev_set_qos_limit", "{\"name\":\"x\",\"rw_ios_per_sec\":1}").code());
    assertEquals(BdevLimits.NONE, desired.bdevs().get(0).limits());
  }

  @Test
  void shouldGiveCountersInSpdksShape() {
    call("bdev_null_create", "{\"name\":\"n\",\"num_blocks\":8,\"block_size\":512}");
    final JsonNode all = call("bdev_get_iostat", "{\"per_channel\":false}");
    assertEquals(1_000_000_000, all.path("tick_rate").asLong());
    final JsonNode bdev = all.path("bdevs").get(0);
    assertEquals(4096, bdev.path("bytes_read").asLong());
    assertEquals(2, bdev.path("num_write_ops").asLong());
    assertEquals(700, bdev.path("read_latency_ticks").asLong());
    assertEquals(1, call("bdev_get_iostat", "{\"names\":[\"n\"]}").path("bdevs").size());
    assertEquals(
        "n",
        call("bdev_get_iostat", "{\"names\":[\"n\"],\"per_channel\":true}").path("name").asText());
    assertEquals(RpcException.ENODEV, refusal("bdev_get_iostat", "{\"names\":[\"x\"]}").code());
    assertEquals(RpcException.EINVAL, refusal("bdev_get_iostat", "{\"per_channel\":true}").code());
    assertEquals(
        RpcException.INVALID_PARAMS, refusal("bdev_get_iostat", "{\"reset_mode\":\"all\"}").code());
  }

  @Test
  void shouldCreateListAndDeleteControllers() {
    call(
        "bdev_malloc_create",
        "{\"name\":\"m\",\"num_blocks\":8,\"block_size\":512,\"uuid\":\"" + UUID + "\"}");
    assertTrue(
        call(
                "vhost_create_blk_controller",
                "{\"ctrlr\":\"v\",\"dev_name\":\""
                    + UUID
                    + "\",\"cpumask\":\"[0,2-3]\","
                    + "\"readonly\":false,\"packed_ring\":true,\"transport\":\"vhost_user_blk\"}")
            .asBoolean());
    assertEquals(
        "vhost_create_blk_controller {\"ctrlr\":\"v\",\"dev_name\":\"m\",\"cpumask\":\"0xd\","
            + "\"readonly\":false,\"packed_ring\":true,\"transport\":\"vhost_user_blk\"}",
        recorded.get(1));
    final JsonNode controller = call("vhost_get_controllers", "{\"name\":\"v\"}").get(0);
    assertEquals("0x5", controller.path("cpumask").asText());
    assertEquals("/run/test/vhost/v", controller.path("socket").asText());
    assertEquals("v".concat("s7"), controller.path("sessions").get(0).path("name").asText());
    assertEquals("m", controller.path("backend_specific").path("block").path("bdev").asText());
    assertEquals(RpcException.EBUSY, refusal("bdev_malloc_delete", "{\"name\":\"m\"}").code());
    call("vhost_delete_controller", "{\"ctrlr\":\"v\"}");
    call("bdev_malloc_delete", "{\"name\":\"m\"}");
    assertTrue(desired.bdevs().isEmpty() && desired.controllers().isEmpty());
  }

  @Test
  void shouldAnswerVhostErrorsWithSpdksCode() {
    call("bdev_null_create", "{\"name\":\"n\",\"num_blocks\":8,\"block_size\":512}");
    call("vhost_create_blk_controller", "{\"ctrlr\":\"v\",\"dev_name\":\"n\"}");
    final RpcException taken =
        refusal("vhost_create_blk_controller", "{\"ctrlr\":\"v\",\"dev_name\":\"n\"}");
    assertEquals(RpcException.INVALID_PARAMS, taken.code());
    assertEquals("File exists: a controller 'v' is there already", taken.getMessage());
    assertEquals(
        "No such device: there is no bdev 'x'",
        refusal("vhost_create_blk_controller", "{\"ctrlr\":\"w\",\"dev_name\":\"x\"}")
            .getMessage());
    assertEquals(
        RpcException.INVALID_PARAMS,
        refusal("vhost_delete_controller", "{\"ctrlr\":\"x\"}").code());
    for (final String mask : List.of("", "0x", "zz", "0", "[1", "[3-1]", "[2000]", "[-1]", "-1")) {
      assertEquals(
          RpcException.INVALID_PARAMS,
          refusal(
                  "vhost_create_blk_controller",
                  "{\"ctrlr\":\"w\",\"dev_name\":\"n\",\"cpumask\":\"" + mask + "\"}")
              .code(),
          mask);
    }
    refusal(
        "vhost_create_blk_controller",
        "{\"ctrlr\":\"w\",\"dev_name\":\"n\",\"transport\":\"vfio\"}");
  }

  @Test
  void shouldSaveAndLoadTheSameConfiguration() {
    for (final BdevMethod method : BdevMethod.CALLABLE) {
      final boolean file = method == BdevMethod.AIO || method == BdevMethod.URING;
      call(
          "bdev_" + method.word() + "_create",
          "{\"name\":\""
              + method.word()
              + "\",\"block_size\":512,"
              + (file ? "\"filename\":\"/f\"}" : "\"num_blocks\":8}"));
    }
    call("vhost_create_blk_controller", "{\"ctrlr\":\"v\",\"dev_name\":\"null\",\"num_queues\":4}");
    final String config =
        "{\"subsystems\":[{\"subsystem\":\"bdev\",\"config\":"
            + JsonText.line(
                call("framework_get_config", "{\"name\":\"bdev\",\"with_batches\":false}"))
            + "},{\"subsystem\":\"vhost_blk\",\"config\":"
            + JsonText.line(call("framework_get_config", "{\"name\":\"vhost_blk\"}"))
            + "}]}";
    final FakeControlPlane second = new FakeControlPlane();
    final RpcMethods secondMethods = new RpcMethods("0.1.0");
    final ChangeLog nowhere = (method, params) -> CompletableFuture.completedFuture(null);
    new BdevMethods(second, nowhere).register(secondMethods);
    new VhostMethods(second, nowhere).register(secondMethods);
    final ConfigLoader loader = new ConfigLoader(secondMethods, second);
    assertEquals(
        5, loader.load(ConfigReader.calls(JsonText.parse(config))).toCompletableFuture().join());
    assertEquals(controlPlane.bdevs(), second.bdevs());
    assertEquals(controlPlane.controllers(), second.controllers());
    assertEquals(
        0, loader.load(ConfigReader.calls(JsonText.parse(config))).toCompletableFuture().join());
    assertEquals(
        RpcException.INVALID_PARAMS,
        refusal("framework_get_config", "{\"name\":\"iscsi\"}").code());
    assertEquals(3, call("framework_get_subsystems", "{}").size());
  }

  private String loadFailure(final String bdevConfig) {
    final CompletionException failure =
        assertThrows(
            CompletionException.class,
            () ->
                new ConfigLoader(methods, controlPlane)
                    .load(
                        ConfigReader.calls(
                            JsonText.parse(
                                "{\"subsystems\":[{\"subsystem\":\"bdev\",\"config\":"
                                    + bdevConfig
                                    + "}]}")))
                    .toCompletableFuture()
                    .join());
    return ((ConfigException) failure.getCause()).getMessage();
  }

  /** A start with the file may have been cut short between the bdev's record and this one. */
  @Test
  void shouldRefuseAConfigurationByWhichABdevThatIsThereWasMovedAway() {
    call("bdev_null_create", "{\"name\":\"n\",\"num_blocks\":8,\"block_size\":512}");
    final String moved =
        "{\"name\":\"n\",\"state\":\"moved\",\"peer\":\"h:1\","
            + "\"source\":\"00000000-0000-0001-0000-000000000002\"}";
    final String config = "[{\"method\":\"virtnvme_bdev_set_migration\",\"params\":" + moved + "}]";
    assertTrue(
        loadFailure(config)
            .startsWith(
                "entry 0 of subsystem 'bdev' (virtnvme_bdev_set_migration): bdev 'n' is there and"
                    + " anybody's, but here it is moved"));
    call("virtnvme_bdev_set_migration", moved);
    assertEquals(
        0,
        new ConfigLoader(methods, controlPlane)
            .load(
                ConfigReader.calls(
                    JsonText.parse(
                        "{\"subsystems\":[{\"subsystem\":\"bdev\",\"config\":" + config + "}]}")))
            .toCompletableFuture()
            .join());
  }

  @Test
  void shouldNameTheEntryOfAConfigurationThatFails() {
    final String good =
        "{\"method\":\"bdev_null_create\",\"params\":{\"name\":\"n\",\"num_blocks\":8,\"block_size\":512}}";
    assertTrue(
        loadFailure("[" + good + ",{\"method\":\"bdev_lvol_create\"}]")
            .startsWith("entry 1 of subsystem 'bdev' (bdev_lvol_create): there is no such method"));
    assertTrue(controlPlane.bdevs().isEmpty());
    assertTrue(
        loadFailure(
                "[{\"method\":\"bdev_set_options\",\"params\":{\"x\":1}},"
                    + good
                    + ",{\"method\":\"bdev_wait_for_examine\"},{\"method\":\"bdev_malloc_create\"}]")
            .startsWith("entry 3 of subsystem 'bdev' (bdev_malloc_create) failed: "));
    assertEquals(1, controlPlane.bdevs().size());
  }

  @Test
  void shouldTellAboutProcessesAndRecoveries() {
    final JsonNode slaves = call("virtnvme_get_slaves", "{}");
    assertEquals("active", slaves.get(0).path("state").asText());
    assertEquals(101, slaves.get(1).path("pid").asInt());
    assertEquals(300, call("virtnvme_get_recoveries", "{}").get(0).path("detect_us").asInt());
    assertEquals(7, call("virtnvme_get_history", "{\"max\":7}").get(0).path("asked").asInt());
    assertEquals(RpcException.EBUSY, refusal("virtnvme_start_slave", "{\"seat\":0}").code());
    assertEquals(RpcException.INVALID_PARAMS, refusal("virtnvme_start_slave", "{}").code());
    final JsonNode status = call("virtnvme_get_status", "{}");
    assertEquals("/run/test", status.path("master").path("run_dir").asText());
    assertEquals(3, status.path("counters").path("relayed_messages").asInt());
    assertTrue(call("framework_wait_init", "{}").asBoolean());
  }
}
