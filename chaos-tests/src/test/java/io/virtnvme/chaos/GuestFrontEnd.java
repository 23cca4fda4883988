package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.virtnvme.chaos.guest.Disk;
import io.virtnvme.chaos.guest.Guest;
import io.virtnvme.chaos.guest.NvmeChecks;
import io.virtnvme.chaos.guest.NvmeCli;
import io.virtnvme.chaos.guest.NvmeDisk;
import java.util.ArrayList;
import java.util.List;

/** How the disks of a pair reach a guest. */
interface GuestFrontEnd {
  /** Short, for what a test prints. */
  String name();

  /** The device files of two disks in the guest. */
  List<String> devices();

  /** Serves two disks of the rig's pair to a new guest, and checks that it sees them as meant. */
  Guest boot(GuestRig rig, List<String> bdevs);

  /** Returns when both disks have completed requests since the call. */
  void awaitProgress(GuestRig rig, List<String> bdevs);

  /** Whether a guest goes on after all of the pair's processes have died. */
  boolean reconnects();

  /** Two vhost-user-blk devices with two queues each. */
  record Virtio(boolean packed) implements GuestFrontEnd {
    @Override
    public String name() {
      return packed ? "packed rings" : "split rings";
    }

    @Override
    public List<String> devices() {
      return List.of("/dev/vda", "/dev/vdb");
    }

    @Override
    public Guest boot(final GuestRig rig, final List<String> bdevs) {
      final List<Disk> disks = new ArrayList<>();
      for (final String bdev : bdevs) {
        rig.pair().createController(bdev, bdev, packed);
        disks.add(packed ? rig.disk(bdev).packed() : rig.disk(bdev));
      }
      final Guest guest = rig.boot(disks);
      for (final String device : List.of("vda", "vdb")) {
        assertEquals(packed, guest.hasFeature(device, GuestRig.FEATURE_RING_PACKED), device);
        final String queues = "ls /sys/block/" + device + "/mq | wc -l";
        assertEquals("2", guest.run(queues, GuestRig.SHORT).orThrow(), device);
      }
      return guest;
    }

    @Override
    public void awaitProgress(final GuestRig rig, final List<String> bdevs) {
      rig.awaitProgress(bdevs);
    }

    @Override
    public boolean reconnects() {
      return true;
    }
  }

  /** One NVMe controller over vfio-user with two namespaces and two I/O queue pairs. */
  record Nvme(boolean mappable) implements GuestFrontEnd {
    @Override
    public String name() {
      return mappable ? "NVMe, doorbells mapped" : "NVMe, doorbells sent";
    }

    @Override
    public List<String> devices() {
      return List.of(NvmeCli.device(1), NvmeCli.device(2));
    }

    @Override
    public Guest boot(final GuestRig rig, final List<String> bdevs) {
      NvmeSubsystem.createTransport(rig.pair(), mappable);
      final NvmeSubsystem subsystem =
          NvmeSubsystem.create(rig.pair(), "vm0", rig.newListenerDirectory("n"), bdevs);
      final Guest guest =
          rig.boot(builder -> builder.nvmeDisk(NvmeDisk.servedIn(subsystem.directory())));
      new NvmeChecks(guest).hasTwoQueuePairsByMsix();
      return guest;
    }

    /** Counters of ours are the controller's, not a namespace's. */
    @Override
    public void awaitProgress(final GuestRig rig, final List<String> bdevs) {
      rig.awaitProgressInGuest(devices());
    }

    /** QEMU's vfio-user-pci never connects again. */
    @Override
    public boolean reconnects() {
      return false;
    }
  }
}
