package io.virtnvme.master;

import static io.virtnvme.master.MasterFixture.context;
import static io.virtnvme.master.MasterFixture.get;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.master.nvme.HostPaths;
import io.virtnvme.master.nvme.LogRequest;
import io.virtnvme.master.rpc.BdevMethod;
import io.virtnvme.master.rpc.BdevSpec;
import io.virtnvme.master.rpc.NvmeControl;
import io.virtnvme.master.rpc.NvmeControllerSpec;
import io.virtnvme.master.rpc.NvmeErrorRule;
import io.virtnvme.master.rpc.NvmeSettings;
import io.virtnvme.master.rpc.RpcException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What a running master says to devices that it cannot have; the kernel's folders are ours. */
class MasterNvmeTest extends MasterRig {
  private static final String ADDRESS = "0000:5e:00.0";
  private static final String NEIGHBOUR = "0000:5e:00.1";
  private static final String NVME_CLASS = "0x010802";

  private NvmeControl nvme;
  private Path sys;
  private Path proc;

  @BeforeEach
  void start() throws IOException {
    sys = Files.createDirectory(directory.resolve("sys"));
    proc = Files.createDirectory(directory.resolve("proc"));
    final Path dev = Files.createDirectory(directory.resolve("dev"));
    master =
        Master.launch(context(runDirectory, processes).hostPaths(new HostPaths(sys, proc, dev)));
    nvme = master.controlPlane().nvme();
  }

  private Path device(final String address, final String pciClass) throws IOException {
    final Path folder = Files.createDirectories(sys.resolve("bus/pci/devices").resolve(address));
    Files.writeString(folder.resolve("class"), pciClass + "\n");
    return folder;
  }

  private void group(final String... members) throws IOException {
    final Path group = Files.createDirectories(sys.resolve("kernel/iommu_groups/7"));
    for (final String member : members) {
      Files.createDirectories(group.resolve("devices").resolve(member));
      Files.createSymbolicLink(
          sys.resolve("bus/pci/devices").resolve(member).resolve("iommu_group"), group);
    }
  }

  private void assertRefused(final int code, final String words) {
    final RpcException refused =
        assertThrows(
            RpcException.class,
            () -> get(nvme.attach(new NvmeControllerSpec("Nvme0", ADDRESS, false, List.of()))));
    assertEquals(code, refused.code(), refused.getMessage());
    assertTrue(refused.getMessage().contains(words), refused.getMessage());
    // Nothing is left of it: the same call can be made again.
    assertEquals(List.of(), nvme.controllers());
    assertEquals(List.of(), master.controlPlane().bdevs());
  }

  @Test
  void shouldRefuseAnAddressWithoutADevice() {
    assertRefused(RpcException.ENODEV, "lspci");
  }

  @Test
  void shouldRefuseADeviceThatIsNoNvmeController() throws IOException {
    device(ADDRESS, "0x020000");
    assertRefused(RpcException.ENODEV, "0x020000");
  }

  @Test
  void shouldRefuseAHostWithoutIommu() throws IOException {
    device(ADDRESS, NVME_CLASS);
    assertRefused(RpcException.ENOTSUP, "intel_iommu=on");
  }

  @Test
  void shouldRefuseAGroupWithAnotherDevice() throws IOException {
    device(ADDRESS, NVME_CLASS);
    device(NEIGHBOUR, "0x020000");
    group(ADDRESS, NEIGHBOUR);
    assertRefused(RpcException.EBUSY, NEIGHBOUR);
  }

  @Test
  void shouldRefuseADeviceThatIsMounted() throws IOException {
    final Path folder = device(ADDRESS, NVME_CLASS);
    group(ADDRESS);
    Files.createDirectories(folder.resolve("nvme/nvme3/nvme3n1"));
    final Path disk = Files.createDirectories(sys.resolve("class/block/nvme3n1"));
    Files.writeString(disk.resolve("dev"), "259:1\n");
    Files.writeString(
        Files.createDirectories(proc.resolve("self")).resolve("mountinfo"),
        "30 1 259:1 / /data rw - ext4 /dev/nvme3n1 rw\n");
    assertRefused(RpcException.EBUSY, "nvme3n1 is mounted on /data");
  }

  @Test
  void shouldRefuseAKernelWithoutVfio() throws IOException {
    device(ADDRESS, NVME_CLASS);
    group(ADDRESS);
    assertRefused(RpcException.ENOENT, "modprobe vfio-pci");
  }

  @Test
  void shouldSayThatThereIsNoSuchController() {
    for (final var stage :
        List.of(
            nvme.detach("none"),
            nvme.reset("none"),
            nvme.health("none"),
            nvme.split("none", 2, 0),
            nvme.unsplit("none", () -> CompletableFuture.completedFuture(null)),
            nvme.inject("none", new NvmeErrorRule(1, true, 6, 1)),
            nvme.endInjection("none", 1),
            nvme.logPage("none", new LogRequest(2, -1, 0, 512)))) {
      final RpcException refused = assertThrows(RpcException.class, () -> get(stage));
      assertEquals(RpcException.ENODEV, refused.code(), refused.getMessage());
    }
  }

  @Test
  void shouldSplitNothingButNamespaces() {
    get(
        master
            .controlPlane()
            .createBdev(new BdevSpec("m", BdevMethod.NULL, new UUID(1, 2), 512, 4096, "", false)));
    final RpcException refused = assertThrows(RpcException.class, () -> get(nvme.split("m", 2, 0)));
    assertEquals(RpcException.ENOTSUP, refused.code(), refused.getMessage());
  }

  @Test
  void shouldKeepItsSettings() {
    final NvmeSettings settings = new NvmeSettings(1, 2, NvmeSettings.TimeoutAction.NONE, 3, 4, 5);
    assertEquals(settings, get(nvme.settings(before -> settings)));
    assertEquals(settings, nvme.settings());
    final RpcException refused =
        assertThrows(
            RpcException.class,
            () ->
                get(
                    nvme.settings(
                        before -> {
                          assertEquals(settings, before);
                          throw new RpcException(RpcException.EINVAL, "refused");
                        })));
    assertEquals(RpcException.EINVAL, refused.code());
    assertEquals(settings, nvme.settings());
  }
}
