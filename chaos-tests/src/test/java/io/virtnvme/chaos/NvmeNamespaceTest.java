package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import com.fasterxml.jackson.databind.JsonNode;
import io.virtnvme.ipc.disk.DiskQueue;
import io.virtnvme.ipc.nvme.Cns;
import io.virtnvme.ipc.nvme.client.NvmeClient;
import io.virtnvme.ipc.nvme.client.NvmeClientConfig;
import io.virtnvme.ipc.vfiouser.PciCommand;
import io.virtnvme.ipc.vfiouser.PciRegion;
import io.virtnvme.tools.chaos.Killer;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** What a driver has of several namespaces, over deaths of slave and master. */
@Tag("once")
class NvmeNamespaceTest {
  private static final String NGUID = "00112233445566778899AABBCCDDEEFF";
  private static final String EUI64 = "FEDCBA9876543210";
  private static final String UUID = "6f9619ff-8b86-d011-b42d-00c04fc964ff";
  private static final int IO_COUNT = 5;

  @RegisterExtension private final Pairs pairs = new Pairs();

  private Pair start() {
    final Pair pair = pairs.start(PairOptions.ofFirstCompiler().withStandbys(1));
    pair.createMemDisk("first", LoadOptions.BLOCK_COUNT);
    pair.createMemDisk("second", LoadOptions.BLOCK_COUNT);
    pair.createNvmeController("vm", true, "first");
    pair.call(
        "nvmf_subsystem_add_ns",
        Json.of(
            "nqn",
            Pair.nqn("vm"),
            "namespace",
            Json.of("bdev_name", "second", "nguid", NGUID, "eui64", EUI64, "uuid", UUID)));
    return pair;
  }

  private static NvmeClient connect(final Pair pair) {
    return NvmeClient.connect(
        new NvmeClientConfig().socketPath(pair.nvmeSocket("vm")).namespaceId(2));
  }

  private static String identifiers(final NvmeClient client, final int namespaceId) {
    return HexFormat.of()
        .withUpperCase()
        .formatHex(client.identify(Cns.NAMESPACE, namespaceId), 104, 128);
  }

  private static void read(final NvmeClient client) {
    final DiskQueue queue = client.queue(0);
    submit(client);
    Waiting.until("a read ends", RawFrontEnd.LIMIT, () -> reap(queue));
  }

  private static void submit(final NvmeClient client) {
    final DiskQueue queue = client.queue(0);
    queue.begin(DiskQueue.READ, 0);
    queue.data(client.dataGuestAddress(), 4096, true);
    queue.add();
    queue.publish();
  }

  private static boolean reap(final DiskQueue queue) {
    final int token = queue.poll();
    if (token == DiskQueue.NONE) {
      return false;
    }
    assertEquals(DiskQueue.STATUS_OK, queue.status(token));
    queue.reclaim(token);
    return true;
  }

  private static long reads(final Pair pair, final String bdev) {
    return pair.call("bdev_get_iostat", Json.of("names", List.of(bdev)))
        .path("bdevs")
        .path(0)
        .path("num_read_ops")
        .asLong(-1);
  }

  @Test
  void shouldShowTheIdentifiersOfTheCallAndCountForTheNamespace() {
    final Pair pair = start();
    int active = pair.activePidWithStandbys(1, 0);
    try (NvmeClient client = connect(pair)) {
      final String made = identifiers(client, 1);
      assertNotEquals(NGUID + EUI64, made);
      for (int round = 1; round <= 3; round++) {
        assertEquals(NGUID + EUI64, identifiers(client, 2));
        assertEquals(made, identifiers(client, 1));
        final JsonNode shown = pair.call("nvmf_get_subsystems").path(0).path("namespaces").path(1);
        assertEquals(NGUID, shown.path("nguid").asText());
        assertEquals(EUI64, shown.path("eui64").asText());
        assertEquals(UUID, shown.path("uuid").asText());
        for (int i = 0; i < IO_COUNT; i++) {
          read(client);
        }
        final long expected = (long) round * IO_COUNT;
        Waiting.until(
            "the reads are counted", RawFrontEnd.LIMIT, () -> reads(pair, "second") == expected);
        assertEquals(0, reads(pair, "first"));
        if (round == 1) {
          Killer.kill(active, PairOptions.slaveCore(), 0);
          active = pair.activePidWithStandbys(1, active);
        } else {
          pair.killMaster();
          pair.startMaster();
        }
      }
    }
  }

  @Test
  void shouldProcessNothingWhileTheFunctionIsNoBusMaster() {
    final Pair pair = start();
    final int active = pair.activePidWithStandbys(1, 0);
    try (NvmeClient client = connect(pair)) {
      client
          .transport()
          .write(PciRegion.CONFIG, PciCommand.OFFSET, Short.BYTES, PciCommand.MEMORY_SPACE);
      submit(client);
      Killer.kill(active, PairOptions.slaveCore(), 0);
      pair.activePidWithStandbys(1, active);
      assertEquals(DiskQueue.NONE, client.queue(0).poll());
      assertEquals(0, reads(pair, "second"));
      client
          .transport()
          .write(
              PciRegion.CONFIG,
              PciCommand.OFFSET,
              Short.BYTES,
              PciCommand.MEMORY_SPACE | PciCommand.BUS_MASTER);
      Waiting.until("the read ends", RawFrontEnd.LIMIT, () -> reap(client.queue(0)));
    }
  }
}
