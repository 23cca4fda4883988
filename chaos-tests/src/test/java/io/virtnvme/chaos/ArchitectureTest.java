package io.virtnvme.chaos;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import io.virtnvme.ipc.segment.SegmentHeader;
import org.junit.jupiter.api.Test;

/** The directions between modules, and the few libraries that belong to one place each. */
class ArchitectureTest {
  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("io.virtnvme");

  @Test
  void shouldDependOnLowerModulesOnly() {
    layeredArchitecture()
        .consideringOnlyDependenciesInLayers()
        .layer("ipc")
        .definedBy("io.virtnvme.ipc..")
        .layer("journal")
        .definedBy("io.virtnvme.journal..")
        .layer("master")
        .definedBy("io.virtnvme.master..")
        .layer("slave")
        .definedBy("io.virtnvme.slave..")
        .layer("tools")
        .definedBy("io.virtnvme.tools..")
        .layer("chaos")
        .definedBy("io.virtnvme.chaos..")
        .whereLayer("ipc")
        .mayNotAccessAnyLayer()
        .whereLayer("journal")
        .mayOnlyAccessLayers("ipc")
        .whereLayer("master")
        .mayOnlyAccessLayers("ipc", "journal")
        .whereLayer("slave")
        .mayOnlyAccessLayers("ipc", "journal")
        .whereLayer("tools")
        .mayOnlyAccessLayers("ipc", "journal", "master", "slave")
        .whereLayer("chaos")
        .mayOnlyAccessLayers("ipc", "journal", "master", "slave", "tools")
        .check(CLASSES);
  }

  /** The root package is left out: its entry knows every command, and each command its helpers. */
  @Test
  void shouldKeepThePackagesOfToolsFreeOfCycles() {
    slices().matching("io.virtnvme.tools.(*)..").should().beFreeOfCycles().check(CLASSES);
  }

  @Test
  void shouldMakeSystemCallsInOnePackage() {
    noClasses()
        .that()
        .resideOutsideOfPackage("io.virtnvme.ipc.sys")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("com.sun.jna..")
        .check(CLASSES);
  }

  @Test
  void shouldTouchOffHeapMemoryThroughOneDoor() {
    noClasses()
        .that()
        .resideOutsideOfPackage("io.virtnvme.ipc.memory")
        .should()
        .dependOnClassesThat()
        .haveFullyQualifiedName("org.agrona.UnsafeApi")
        .check(CLASSES);
  }

  @Test
  void shouldKeepChronicleAndJacksonOutOfSlaves() {
    noClasses()
        .that()
        .resideInAnyPackage("io.virtnvme.slave..", "io.virtnvme.ipc..", "io.virtnvme.journal..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("net.openhft..", "com.fasterxml.jackson..")
        .check(CLASSES);
  }

  @Test
  void shouldNeverMapGuestMemoryInTheMaster() {
    noClasses()
        .that()
        .resideInAPackage("io.virtnvme.master..")
        .should()
        .dependOnClassesThat()
        .haveFullyQualifiedName("io.virtnvme.ipc.sys.Mapping")
        .check(CLASSES);
  }

  /** A clock that is set must change no timeout; time of day is for labels that people read. */
  @Test
  void shouldMeasureTimeByTheMonotonicClock() {
    noClasses()
        .that()
        .resideInAnyPackage(
            "io.virtnvme.slave..",
            "io.virtnvme.journal..",
            "io.virtnvme.ipc..",
            "io.virtnvme.master.relay..")
        .and()
        .resideOutsideOfPackage("io.virtnvme.ipc.log..")
        .and()
        .doNotBelongToAnyOf(SegmentHeader.class)
        .should()
        .callMethod(System.class, "currentTimeMillis")
        .orShould()
        .dependOnClassesThat()
        .resideInAnyPackage("java.time..")
        .check(CLASSES);
  }

  @Test
  void shouldKeepTheDataPathFreeOfLogging() {
    noClasses()
        .that()
        .resideInAnyPackage(
            "io.virtnvme.slave.virtqueue..", "io.virtnvme.slave.blk..", "io.virtnvme.journal..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("org.slf4j..")
        .check(CLASSES);
  }

  @Test
  void shouldLetOnlyTheSlaveUseTheJournalToWrite() {
    classes()
        .that()
        .haveNameMatching("io\\.virtnvme\\.journal\\.(Split|Packed)Inflight")
        .should()
        .onlyBeAccessed()
        .byAnyPackage("io.virtnvme.journal..", "io.virtnvme.slave..", "io.virtnvme.tools..")
        .check(CLASSES);
  }
}
