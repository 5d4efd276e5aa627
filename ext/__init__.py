"""The compiled core of Tapehead. Users import it through ``engine``; Cython users ``cimport`` from here."""
