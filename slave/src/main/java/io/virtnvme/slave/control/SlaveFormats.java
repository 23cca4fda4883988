package io.virtnvme.slave.control;

import io.virtnvme.ipc.relay.FormatVersions;
import io.virtnvme.ipc.relay.FormatVersions.FormatVersion;
import io.virtnvme.journal.NvmeCqJournalDescriptor;
import io.virtnvme.journal.NvmeSqJournalDescriptor;
import io.virtnvme.journal.PackedInflightDescriptor;
import io.virtnvme.journal.SplitInflightDescriptor;
import io.virtnvme.slave.nvme.ControllerAreaDescriptor;
import io.virtnvme.slave.nvme.ControllerImage;
import io.virtnvme.slave.qpair.QpairRecord;
import io.virtnvme.slave.session.SessionRecord;
import io.virtnvme.slave.vfio.VfioRecord;
import java.util.List;

/** The formats that a slave of this build reads from its predecessor. Any thread. */
public final class SlaveFormats {
  private SlaveFormats() {}

  /** All of them: what is shared with the master, and what only slaves read. */
  public static FormatVersions known() {
    return FormatVersions.shared()
        .with(
            List.of(
                new FormatVersion("session-record", SessionRecord.VERSION, 0),
                new FormatVersion("vfio-session-record", VfioRecord.VERSION, 0),
                new FormatVersion("virtnvme-session-record", QpairRecord.VERSION, 0),
                new FormatVersion("inflight-split", SplitInflightDescriptor.VERSION, 0),
                new FormatVersion("inflight-packed", PackedInflightDescriptor.VERSION, 0),
                new FormatVersion("nvme-controller-area", ControllerAreaDescriptor.VERSION, 0),
                new FormatVersion("nvme-sq-journal", NvmeSqJournalDescriptor.VERSION, 0),
                new FormatVersion("nvme-cq-journal", NvmeCqJournalDescriptor.VERSION, 0),
                new FormatVersion("nvme-controller-image", ControllerImage.VERSION, 0)));
  }
}
