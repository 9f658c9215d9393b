//! wharf-whatsapp
